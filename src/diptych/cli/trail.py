"""`diptych trail`: who did what, when and why; how it was; and whether anybody changed that."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from diptych.cli.moments import moment_option
from diptych.cli.options import app_option, common_options
from diptych.cli.output import counted, plain, print_json, print_line
from diptych.cli.trail_sealing import check, seal

if TYPE_CHECKING:
    from diptych.application import App
    from diptych.operations.trail.state import PastState
    from diptych.operations.trail.tree import CauseTree

__all__ = ["trail"]


@click.group(no_args_is_help=False, short_help="Audit: who did what, when, why; how it was.")
def trail() -> None:
    """Audit: who did what, when and why; how it was; whether the log was changed."""


@trail.command(short_help="Who did what, when and why.")
@click.option("--stream", metavar="STREAM", help="Only this stream.")
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only this type; repeatable.")
@click.option("--actor", metavar="NAME", help="Only what this one did.")
@click.option("--tenant", metavar="NAME", help="Only what belongs to this one.")
@click.option("--correlation-id", metavar="ID", help="Only this conversation.")
@click.option("--causation-id", metavar="ID", help="Only what this message led to.")
@click.option(
    "--after", type=click.IntRange(0), default=0, metavar="POSITION", help="Only behind it."
)
@click.option("--upto", type=click.IntRange(0), metavar="POSITION", help="Only up to it.")
@moment_option("--since", "Recorded then or later.")
@moment_option("--until", "Recorded then or earlier.")
@click.option("--limit", type=click.IntRange(1), help="How many at most.  [default: all]")
@app_option
@common_options
def log(*, where: str | None, limit: int | None, as_json: bool, **wanted: Any) -> None:
    """Events that meet all of the options, in order: who did what, when and why.

    In a pipe, one event per line with tabs between: position, recorded at, stream, version, type,
    actor, tenant, correlation id, causation id, data. With --json, one JSON object per line. A time
    is written 2026-01-31T12:00:00Z; without a zone it is UTC.
    """
    from diptych.cli.find_app import find_app
    from diptych.cli.running import run

    run(_log(find_app(where), limit, wanted, as_json=as_json))


async def _log(app: App, limit: int | None, wanted: dict[str, Any], *, as_json: bool) -> None:
    from diptych.cli.progress import Progress
    from diptych.cli.trail_lines import RecordLines
    from diptych.cli.trail_opening import opened_trail

    lines = RecordLines(as_json=as_json)
    left = limit
    async with contextlib.AsyncExitStack() as stack:
        if not lines.on_terminal:  # a bar and lines would be written over each other
            wanted["progress"] = stack.enter_context(Progress("Reading"))
        trail = await stack.enter_async_context(opened_trail(app))
        async for record in trail.history(wanted.pop("stream"), **wanted):
            lines.print(record)
            left = None if left is None else left - 1
            if left == 0:
                return


@trail.command()
@click.option("--correlation-id", metavar="ID", help="The conversation of this id.")
@click.option("--event-id", metavar="ID", help="The conversation of this event.")
@click.option("--position", type=click.IntRange(1), help="The conversation of the event there.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=10_000,
    show_default=True,
    help="How many events at most.",
)
@app_option
@common_options
def tree(*, where: str | None, limit: int, as_json: bool, **begin: Any) -> None:
    """The tree of a conversation: what led to what. Give one of the three ids."""
    from diptych.cli.find_app import find_app
    from diptych.cli.running import run

    if sum(one is not None for one in begin.values()) != 1:
        raise click.UsageError("give one of --correlation-id, --event-id and --position.")
    found = run(_tree(find_app(where), limit, begin))
    from diptych.cli.trail_lines import print_tree, tree_as_facts

    if as_json:
        print_json(tree_as_facts(found))
    else:
        print_tree(found)


async def _tree(app: App, limit: int, begin: dict[str, Any]) -> CauseTree:
    from diptych.cli.progress import Progress
    from diptych.cli.trail_opening import opened_trail
    from diptych.errors import ConfigurationError

    with Progress("Reading") as progress:
        async with opened_trail(app) as trail:
            found = await trail.tree(**begin, limit=limit, progress=progress)
    if not found.events:
        what = ", ".join(str(one) for one in begin.values() if one is not None)
        raise ConfigurationError(f"nothing in the log of {app.name} belongs to {what}.")
    return found


@trail.command(short_help="The state of a write model as it was.")
@click.argument("what", nargs=-1, required=True, metavar="STREAM | KIND KEY")
@click.option("--version", type=click.IntRange(0), help="As it was at this version.")
@moment_option("--at", "As it was at this time.")
@app_option
@common_options
def state(
    *,
    where: str | None,
    what: tuple[str, ...],
    version: int | None,
    at: datetime | None,
    as_json: bool,
) -> None:
    """The state of a write model as it was: `Account-a`, or `Account a`.

    At a time means: after the events that come before the first one recorded later.
    """
    from diptych.cli.find_app import find_app
    from diptych.cli.running import run

    if len(what) > 2:
        raise click.UsageError("give a stream, or a kind and a key.")
    if version is not None and at is not None:
        raise click.UsageError("give --version or --at, not both.")
    found = run(_state(find_app(where), "-".join(what), version, at))
    if as_json:
        from diptych.cli.trail_lines import record_as_facts

        last = record_as_facts(found.last) if found.last else None
        print_json({**plain(found), "last": last})
    else:
        _print_state(found)


async def _state(app: App, stream: str, version: int | None, at: datetime | None) -> PastState:
    from diptych.cli.trail_opening import opened_trail

    async with opened_trail(app) as trail:
        kind, key = trail.owner_of(stream)
        return await trail.state(kind, key, version=version, at=at)


def _print_state(found: PastState) -> None:
    from rich.text import Text

    from diptych.cli.tables import cell, fields, print_rich
    from diptych.cli.trail_lines import RecordLines

    if found.last is not None:
        RecordLines(as_json=False).print(found.last)
        print_line()
    shown = plain(found.state)
    title = Text(f"state of {found.stream} at version {found.version}", style="bold")
    if found.last is None:
        title.append(", before its first event, if it has any", "not bold")
    many = isinstance(shown, dict) and bool(shown)
    print_rich(title, fields(shown.items()) if many else Text(cell(shown)))


@trail.command(short_help="Rows of a read model as they were.")
@click.argument("projection")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--position", type=click.IntRange(0), help="As of this position.  [default: head]")
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    help="How many rows to print; --json prints all.",
)
@app_option
@common_options
def rows(
    *,
    where: str | None,
    projection: str,
    keys: tuple[str, ...],
    position: int | None,
    limit: int,
    as_json: bool,
) -> None:
    """Rows of a read model as they were at a position, folded from the log; nothing is written."""
    from diptych.cli.find_app import find_app
    from diptych.cli.running import run

    run(_rows(find_app(where), projection, keys, position, None if as_json else limit))


async def _rows(
    app: App, projection: str, keys: tuple[str, ...], position: int | None, limit: int | None
) -> None:
    from diptych.cli.progress import Progress
    from diptych.cli.tables import answer_as_text, console, print_rich
    from diptych.cli.trail_lines import past_rows
    from diptych.cli.trail_opening import opened_trail

    shown: list[Any] = []
    left_out = 0
    plan = app.plan_named(projection)
    with Progress("Folding") as progress:
        async with opened_trail(app) as trail:
            async for facts, row in past_rows(trail, plan, keys, position, progress):
                if limit is None:
                    print_json(facts)
                elif len(shown) < limit:
                    shown.append(row)
                else:
                    left_out += 1
    if limit is not None:
        here = console()
        print_rich(*answer_as_text(shown or None, here.width if here.is_terminal else None))
        if left_out:
            print_line()
            print_line(f"{counted(left_out, 'more row')} not shown: --limit")


trail.add_command(seal)
trail.add_command(check)
