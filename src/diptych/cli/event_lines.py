"""Events for people: two lines each on a terminal, one with tabs in a pipe, or rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from diptych.cli.log_reading import as_facts
from diptych.cli.output import print_line, printable
from diptych.cli.tables import Column, cell, console, most_characters, table
from diptych.environment import moment
from diptych.messages.envelope import Metadata, StoredEvent

__all__ = ["EventLines", "stream_of_events"]

_NUMBER_WIDTH = 9
_ROOM_FOR_A_TABLE = 110


class EventLines:
    """Prints events one by one, as they come; `flush`: each is to be seen at once."""

    def __init__(self, *, flush: bool) -> None:
        self._console = console()
        self._flush = flush

    def print(self, event: StoredEvent) -> None:
        """Print one event."""
        if not self._console.is_terminal:
            print_line(_tabbed(event), flush=self._flush)
            return
        facts = as_facts(event)
        self._console.print(_block(f"{event.position:,}", facts, facts["stream"]))


def _block(number: str, facts: dict[str, Any], place: str) -> Table:
    """Two lines or more: what happened where, and the data indented."""
    head = Text(f"{_time(facts)}  ", style="dim")
    head.append(printable(facts["type"]), style="not dim green")
    head.append(f"  {printable(place)} v{facts['version']}", style="not dim cyan")
    if facts["actor"]:
        head.append(f"  by {printable(facts['actor'])}", style="not dim")
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=_NUMBER_WIDTH, justify="right", style="bold")
    grid.add_column(overflow="fold")
    grid.add_row(Text(number), head)
    if facts["data"]:
        grid.add_row("", _data(facts["data"]))
    return grid


def stream_of_events(events: Sequence[dict[str, Any]]) -> RenderableType:
    """The events of one stream: a table where there is room for one."""
    here = console()
    if here.is_terminal and here.width < _ROOM_FOR_A_TABLE:
        return Group(*(_block(f"{one['position']:,}", one, one["stream"]) for one in events))
    return _event_table(events)


def _event_table(events: Sequence[dict[str, Any]]) -> Table:
    acted = any(one["actor"] for one in events)
    columns = [
        Column("version", "right", style="bold"),
        Column("position", "right", style="dim"),
        Column("recorded at (UTC)", style="dim"),
        Column("type", style="green"),
        *([Column("actor")] if acted else []),
        Column("data", fold=True),
    ]
    return table(columns, [_row(one, acted=acted) for one in events])


def _row(event: dict[str, Any], *, acted: bool) -> list[Any]:
    return [
        event["version"],
        f"{event['position']:,}",
        _time(event),
        event["type"],
        *([event["actor"]] if acted else []),
        _data(event["data"]),
    ]


def _time(event: dict[str, Any]) -> str:
    return f"{event['recorded_at']:%Y-%m-%d %H:%M:%S}"


def _data(data: Any) -> Text:
    """`account_id=a  amount=5`, names dim."""
    if not isinstance(data, dict):
        return Text(cell(data, most_characters()))
    shown = Text(overflow="fold")
    for number, (name, value) in enumerate(data.items()):
        shown.append(f"{'  ' if number else ''}{printable(name)}=", style="dim")
        shown.append(cell(value, most_characters()))
    return shown


def _tabbed(event: StoredEvent) -> str:
    actor = msgspec.json.decode(event.meta, type=Metadata).actor
    return "\t".join(
        (
            str(event.position),
            moment(event.recorded_us).isoformat().replace("+00:00", "Z"),
            printable(event.stream),
            str(event.version),
            printable(event.type),
            "-" if actor is None else printable(actor),
            event.data.decode(),
        )
    )
