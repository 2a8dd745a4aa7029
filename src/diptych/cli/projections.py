"""`diptych projections`: where they stand, run them, make their rows anew."""

from __future__ import annotations

import click

from diptych.cli.generations import GENERATION_COMMANDS, throttle_option
from diptych.cli.options import Seconds, app_option, common_options
from diptych.cli.output import counted, print_json, print_line

__all__ = ["projections"]


@click.group(no_args_is_help=False)
def projections() -> None:
    """Look at projections, run them, make their rows anew."""


@projections.command()
@click.option("--watch", is_flag=True, help="Go on looking, until stopped.")
@click.option(
    "--every",
    "every_s",
    type=Seconds(0.05, 3_600),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="How often, with --watch.",
)
@app_option
@common_options
def status(*, where: str | None, watch: bool, every_s: float, as_json: bool) -> None:
    """Where every projection stands, and what is in its way.

    With --watch and --json, one JSON object per look.
    """
    from diptych.cli.find_app import find_app
    from diptych.cli.projection_work import facts_of, look_once, watch_on
    from diptych.cli.running import run, run_until_stopped

    app = find_app(where)
    if watch:
        run_until_stopped(watch_on(app, every_s, as_json=as_json))
        return
    found = run(look_once(app))
    if as_json:
        print_json(facts_of(app, found))
    else:
        from diptych.cli.status_table import status_table
        from diptych.cli.tables import print_rich

        print_rich(status_table(found))


@projections.command("run")
@click.option("--until-settled", is_flag=True, help="Stop once all have come to the present head.")
@app_option
@common_options
def run_them(*, where: str | None, until_settled: bool, as_json: bool) -> None:
    """Run the projections, until Ctrl-C or SIGTERM.

    They stop between two batches; what was written carries its checkpoint, so nothing is lost or
    folded twice. Being stopped is exit code 0. When every projection has failed, nothing can go on:
    exit code 1. So it is with --until-settled when one has failed, or something is parked.
    """
    from diptych.cli.find_app import find_app
    from diptych.cli.projection_work import facts_of, run_on, run_until_settled
    from diptych.cli.running import run, run_until_stopped

    app = find_app(where)
    if not until_settled:
        run_until_stopped(run_on(app, as_json=as_json))
        return
    found = run(run_until_settled(app))
    if as_json:
        print_json(facts_of(app, found))
    else:
        head = max((one.head for one in found), default=0)
        print_line(f"settled: {counted(len(found), 'projection')} at position {head:,}")


@projections.command()
@click.argument("name")
@click.option("--in-place", is_flag=True, help="Empty the rows that are read, and fill them again.")
@click.option("--key", "keys", multiple=True, help="Only the row of this key; repeatable.")
@click.option("--tenant", help="Only rows that events of this tenant touch.")
@throttle_option
@app_option
@common_options
def rebuild(
    *,
    where: str | None,
    name: str,
    in_place: bool,
    keys: tuple[str, ...],
    tenant: str | None,
    throttle: float | None,
    as_json: bool,
) -> int:
    """Make the rows of a projection anew from the first event.

    NAME is as `projections status` says it, or the class. The new rows are built beside those that
    are read, and replace them in one moment: queries and other processes go on. In place, and for a
    projection that is inline or writes its own SQL, readers see the rows come back one by one. What
    was killed goes on where it was when it is started again.
    """
    from diptych.cli.find_app import find_app
    from diptych.cli.generation_work import rebuild_one, rebuild_rows
    from diptych.cli.output import plain
    from diptych.cli.running import run

    some = bool(keys or tenant)
    if some and (in_place or throttle or (keys and tenant)):
        raise click.UsageError("--key and --tenant stand alone: they make some rows anew.")
    app = find_app(where)
    known = app.plan_named(name).name
    if some:
        mended = run(rebuild_rows(app, known, keys, tenant))
        if as_json:
            print_json(plain(mended))
        else:
            made = f"{counted(len(mended.written), 'row')} written, {len(mended.deleted):,} deleted"
            print_line(f"rebuilt rows of {known}: {made}; the others were right")
        return 0 if mended.ok else 1
    all_made = run(rebuild_one(app, known, throttle, in_place=in_place or None))
    if as_json:
        print_json(all_made.facts())
    else:
        print_line(f"rebuilt {known} from {all_made.told()}")
    return 0


for _command in GENERATION_COMMANDS:
    projections.add_command(_command)
