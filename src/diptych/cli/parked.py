"""`diptych parked`: what projections could not fold, why; retry it, or skip it for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from diptych.cli.options import app_option, common_options
from diptych.cli.output import plain, print_json

if TYPE_CHECKING:
    from diptych.operations.parked.parked_events import Skipped
    from diptych.sync.retry import Retried

__all__ = ["parked"]

_dry_run = click.option("--dry-run", is_flag=True, help="Say what would happen; write nothing.")


@click.group(
    no_args_is_help=False,
    invoke_without_command=True,
    short_help="What could not be folded: look at it, retry it, skip it.",
)
@app_option
@common_options
@click.pass_context
def parked(context: click.Context, *, where: str | None, as_json: bool) -> None:
    """What projections could not fold, by projection and error; retry it, or skip it.

    An event that fails parks its key; the later events of that key wait behind it, in order, and
    everything else flows.
    """
    if context.invoked_subcommand is not None:
        # What was said before the subcommand holds for it.
        said = {"where": where, "as_json": as_json}
        context.default_map = {context.invoked_subcommand: said}
        return
    from diptych.cli.find_app import find_app
    from diptych.cli.parked_lines import print_groups
    from diptych.cli.parked_work import groups_of
    from diptych.cli.running import run

    app = find_app(where)
    found = run(groups_of(app))
    if as_json:
        print_json({"application": app.name, "groups": plain(found)})
    else:
        print_groups(found)


@parked.command()
@click.argument("projection")
@click.argument("key", required=False)
@app_option
@common_options
def show(*, where: str | None, projection: str, key: str | None, as_json: bool) -> None:
    """Every parked key of a projection, or one: its event, why it failed, what follows it.

    Also what was skipped, by whom and why.
    """
    from diptych.cli.find_app import find_app
    from diptych.cli.parked_lines import print_keys
    from diptych.cli.parked_work import entries_of
    from diptych.cli.running import run

    waiting, skipped = run(entries_of(find_app(where), projection, key))
    if as_json:
        print_json({"waiting": plain(waiting), "skipped": plain(skipped)})
    else:
        print_keys(waiting, skipped, traces=key is not None)


@parked.command()
@click.argument("projection", required=False)
@click.argument("key", required=False)
@click.option("--error", metavar="TEXT", help="Only the keys of this group, as `parked` names it.")
@click.option("--all", "everything", is_flag=True, help="All projections.")
@_dry_run
@app_option
@common_options
def retry(
    *,
    where: str | None,
    projection: str | None,
    key: str | None,
    error: str | None,
    everything: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Fold again what waits: of one key, of one group (--error), of a projection, or --all.

    Each key in order, up to the first event that fails again. The projection's runner stands aside
    meanwhile, wherever it runs. Exit code 1 when something failed again.
    """
    from diptych.cli.find_app import find_app
    from diptych.cli.parked_lines import print_retried
    from diptych.cli.parked_work import retry_them
    from diptych.cli.running import run

    if everything == (projection is not None):
        raise click.UsageError("name one projection, or say --all.")
    found = run(retry_them(find_app(where), projection, key, error, dry_run=dry_run))
    if as_json:
        print_json({"retried": plain(found), "dry_run": dry_run})
    else:
        print_retried(found, dry_run=dry_run)
    return _exit_code(found)


@parked.command()
@click.argument("projection")
@click.argument("key")
@click.argument("position", type=click.IntRange(1))
@click.option("--reason", required=True, metavar="TEXT", help="Why it shall have no effect.")
@click.option("--actor", metavar="NAME", help="Who says so.  [default: the user of this shell]")
@_dry_run
@app_option
@common_options
def skip(
    *,
    where: str | None,
    projection: str,
    key: str,
    position: int,
    reason: str,
    actor: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Have the first event that waits for KEY never folded, then retry what follows it.

    That is for good, also for rebuilds, and is recorded with the reason. Exit code 1 when one of
    those that follow fails.
    """
    from diptych.cli.find_app import find_app
    from diptych.cli.parked_lines import print_skipped
    from diptych.cli.parked_work import skip_one, user
    from diptych.cli.running import run

    app = find_app(where)
    found: Skipped = run(
        skip_one(
            app, (projection, key, position), reason=reason, actor=actor or user(), dry_run=dry_run
        )
    )
    if as_json:
        print_json(plain(found) | {"dry_run": dry_run})
    else:
        print_skipped(found, dry_run=dry_run)
    return _exit_code([found.followers])


def _exit_code(found: list[Retried]) -> int:
    return int(any(one.failed_at is not None for one in found))
