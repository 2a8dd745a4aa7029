"""`diptych verify`: are the read models what the log says? Mend what is not; watch for ever."""

from __future__ import annotations

import click

from diptych.cli.options import app_option, common_options
from diptych.cli.output import print_json

__all__ = ["verify"]


@click.command(short_help="Compare read models with the log; repair rows.")
@click.argument("projections", nargs=-1, metavar="[PROJECTION]...")
@click.option("--key", "keys", multiple=True, help="Only the row of this key; repeatable.")
@click.option("--tenant", help="Only rows that events of this tenant touch.")
@click.option("--sample", type=click.IntRange(1), help="Only so many rows, by chance.")
@click.option("--seed", type=int, help="The chance of --sample: the same rows again.")
@click.option("--repair", is_flag=True, help="Make the rows that differ what the log says.")
@click.option("--dry-run", is_flag=True, help="Say what --repair would write; write nothing.")
@click.option("--watch", is_flag=True, help="Compare for ever, slowly, until stopped.")
@click.option(
    "--events-per-s",
    type=click.FloatRange(1),
    default=20_000,
    show_default=True,
    help="How fast, with --watch.",
)
@click.option(
    "--rows-per-s",
    type=click.FloatRange(1),
    default=5_000,
    show_default=True,
    help="How fast, with --watch.",
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="How many differences to print; --json prints all.",
)
@app_option
@common_options
def verify(
    *,
    where: str | None,
    projections: tuple[str, ...],
    keys: tuple[str, ...],
    tenant: str | None,
    sample: int | None,
    seed: int | None,
    repair: bool,
    dry_run: bool,
    watch: bool,
    events_per_s: float,
    rows_per_s: float,
    limit: int,
    as_json: bool,
) -> int:
    """Fold the log again from nothing, and compare the rows of read models with it.

    All of them, or those of each PROJECTION. Commands and projections may go on meanwhile. With
    --repair, exactly the rows that differ are written anew.

    Exit code 1 when a row differs, and was not repaired.
    """
    from diptych.cli.find_app import find_app
    from diptych.cli.running import run, run_until_stopped
    from diptych.cli.verify_work import Wish, patrol_on, verify_once

    _check(keys, tenant, sample, seed)
    if watch:
        if projections or keys or tenant or sample or repair or dry_run:
            raise click.UsageError("--watch compares everything, and repairs nothing.")
        pace = {"events_per_s": events_per_s, "rows_per_s": rows_per_s}
        run_until_stopped(patrol_on(find_app(where), pace, limit, as_json=as_json))
        return 0
    selected = {"keys": keys or None, "tenant": tenant, "sample": sample, "seed": seed}
    wish = Wish(projections, selected, repair or dry_run, dry_run)
    done = run(verify_once(find_app(where), wish))
    if as_json:
        print_json(done.facts())
    else:
        from diptych.cli.differences import print_verified

        print_verified(done, limit)
    return 0 if done.ok else 1


def _check(keys: tuple[str, ...], tenant: str | None, sample: int | None, seed: int | None) -> None:
    if sum((bool(keys), tenant is not None, sample is not None)) > 1:
        raise click.UsageError("give one of --key, --tenant and --sample.")
    if seed is not None and sample is None:
        raise click.UsageError("--seed is the chance of --sample: give that, too.")
