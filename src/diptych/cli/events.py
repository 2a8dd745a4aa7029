"""`diptych events`: the log as it stands, and as it grows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from diptych.cli.existing import open_existing
from diptych.cli.options import app_option, common_options
from diptych.cli.output import counted, print_json, print_line

if TYPE_CHECKING:
    from diptych.application import App
    from diptych.cli.log_reading import Selection
    from diptych.messages.envelope import StoredEvent

__all__ = ["events"]


@click.group(no_args_is_help=False)
def events() -> None:
    """Look at the events in the log."""


@events.command()
@click.option("--after", type=click.IntRange(0), metavar="POSITION", help="Begin after this one.")
@click.option(
    "--limit",
    type=click.IntRange(0),
    help="How many at most.  [default: the last 20; with --after, all]",
)
@click.option("--follow", is_flag=True, help="Go on with what is recorded, until stopped.")
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only this type; repeatable.")
@click.option("--stream", metavar="STREAM", help="Only this stream.")
@app_option
@common_options
def tail(
    *,
    where: str | None,
    after: int | None,
    limit: int | None,
    follow: bool,
    types: tuple[str, ...],
    stream: str | None,
    as_json: bool,
) -> None:
    """The last events of the log, or those after a position, in order.

    In a pipe, one event per line with tabs between: position, recorded at, stream, version, type,
    actor, data. With --json, one JSON object per line.

    \b
    diptych events tail --app bank:app --follow --type Deposited
    """  # noqa: D301  \b is click's mark for lines that must not be wrapped
    from diptych.cli.event_lines import EventLines
    from diptych.cli.find_app import find_app
    from diptych.cli.log_reading import Selection
    from diptych.cli.running import run, run_until_stopped

    app = find_app(where)
    lines = JsonLines(flush=follow) if as_json else EventLines(flush=follow)
    work = _tail(app, Selection(types, stream), after, limit, lines.print, follow=follow)
    if follow:
        run_until_stopped(work)
    else:
        run(work)


async def _tail(
    app: App,
    selection: Selection,
    after: int | None,
    limit: int | None,
    show: Callable[[StoredEvent], None],
    *,
    follow: bool,
) -> None:
    from diptych.cli.log_reading import last_events, later_events, new_events

    await open_existing(app)
    try:
        _check_types(app, selection.types)
        if after is None:
            after = await app.log.head()
            for event in await last_events(app.log, selection, 20 if limit is None else limit):
                show(event)
                after = max(after, event.position)
            limit = None  # what follows is new
        reading = new_events if follow else later_events
        left = limit
        if left == 0:
            return
        async for event in reading(app.log, selection, after):
            show(event)
            left = None if left is None else left - 1
            if left == 0:
                return
    finally:
        await app.close()


def _check_types(app: App, types: tuple[str, ...]) -> None:
    """A type nobody knows may still be in the log, so that is said and no more."""
    known = {one.identity.name for one in app.parts.registry}
    for name in types:
        if name not in known:
            click.echo(f"note: {app.name} knows no event type {name!r}", err=True)


class JsonLines:
    """Prints events one by one as JSON."""

    def __init__(self, *, flush: bool) -> None:
        self._flush = flush

    def print(self, event: StoredEvent) -> None:
        """Print one event."""
        from diptych.cli.log_reading import as_json_line

        print_line(as_json_line(event), flush=self._flush)


@events.command()
@click.argument("stream")
@click.option("--at", type=click.IntRange(0), metavar="VERSION", help="As it was at this version.")
@click.option(
    "--limit", type=click.IntRange(0), default=50, show_default=True, help="The last so many."
)
@app_option
@common_options
def show(*, where: str | None, stream: str, at: int | None, limit: int, as_json: bool) -> None:
    """The events of a STREAM, and the state they make.

    A stream is named by its write model and its key: Account-a.
    """
    from diptych.cli.find_app import find_app
    from diptych.cli.running import run

    found = run(_show(find_app(where), stream, at, limit))
    if as_json:
        print_json(found)
    else:
        _print(found)


async def _show(app: App, stream: str, at: int | None, limit: int) -> dict[str, Any]:
    from diptych.cli.log_reading import as_facts
    from diptych.cli.stream_states import state_of

    await open_existing(app)
    try:
        stored = await app.log.read_stream(stream, 0, at)
        version = stored[-1].version if stored else 0
        _check_found(app, stream, version, at)
        state, why = await state_of(app, stream, version, newest=at is None)
        shown = stored[len(stored) - limit :] if limit < len(stored) else stored
        return {
            "stream": stream,
            "version": version,
            "events": [as_facts(one) for one in shown],
            "state": state,
            "no_state_because": why,
        }
    finally:
        await app.close()


def _check_found(app: App, stream: str, version: int, at: int | None) -> None:
    from diptych.errors import ConfigurationError

    if at is not None and version < at:
        raise ConfigurationError(f"{stream} has no version {at}, it stands at {version}.")
    if not version:
        names = ", ".join(f"{one.name}-..." for one in app.parts.deciders.values()) or "none"
        raise ConfigurationError(
            f"there are no events in a stream {stream!r}. Streams of {app.name}: {names}"
        )


def _print(found: dict[str, Any]) -> None:
    from rich.text import Text

    from diptych.cli.event_lines import stream_of_events
    from diptych.cli.tables import fields, print_rich

    shown: list[Any] = [stream_of_events(found["events"]), Text()]
    left = found["version"] - len(found["events"])
    if left:
        shown += [Text(f"{counted(left, 'earlier event')} not shown: --limit", style="dim"), Text()]
    title = Text(f"state at version {found['version']}", style="bold")
    if found["no_state_because"]:
        shown.append(Text(f"no state: {found['no_state_because']}", style="dim"))
    elif isinstance(found["state"], dict) and found["state"]:
        shown += [title, fields(found["state"].items())]
    else:
        from diptych.cli.tables import cell

        shown += [title, Text(cell(found["state"]))]
    print_rich(*shown)
