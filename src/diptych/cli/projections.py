"""`diptych projections`: where they stand, run them, rebuild one."""

from __future__ import annotations

import click

from diptych.cli.options import Seconds, app_option, common_options
from diptych.cli.output import counted, print_json, print_line

__all__ = ["projections"]


@click.group(no_args_is_help=False)
def projections() -> None:
    """Look at projections, run them, rebuild one."""


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
    exit code 1.
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
@app_option
@common_options
def rebuild(*, where: str | None, name: str, as_json: bool) -> None:
    """Forget the rows of a projection and fold the log again from the first event.

    NAME is as `projections status` says it, or the class. It happens in place: whoever reads
    meanwhile sees the rows come back. Stop other processes that run this projection first.
    """
    from diptych.cli.find_app import find_app
    from diptych.cli.progress import duration
    from diptych.cli.projection_work import rebuild_one
    from diptych.cli.running import run

    app = find_app(where)
    found, seconds = run(rebuild_one(app, app.plan_named(name).name))
    rate = found.position / seconds if seconds else 0.0
    if as_json:
        facts = {"projection": found.name, "events": found.position}
        print_json(facts | {"seconds": round(seconds, 3), "events_per_s": round(rate, 1)})
    else:
        print_line(
            f"rebuilt {found.name} from {counted(found.position, 'event')} in "
            f"{duration(seconds)} ({rate:,.0f}/s)"
        )
