"""Where projections stand, for people: a table, a live table, or lines for a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

import msgspec
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from diptych.cli.output import counted, print_line, printable
from diptych.cli.progress import duration
from diptych.cli.tables import Column, console, table
from diptych.sync.status import ProjectionStatus

__all__ = ["ChangedLines", "Rates", "StatusScreen", "state_word", "status_table", "why_of"]

_STYLES = {
    "live": "green",
    "inline": "green",
    "at head": "green",
    "catching up": "yellow",
    "behind": "yellow",
    "retrying": "yellow",
    "changed": "bold red",
    "failed": "bold red",
}


def status_table(found: Sequence[ProjectionStatus]) -> RenderableType:
    """A table, with what is in the way of each projection below it."""
    if not found:
        return Text("this application has no projections")
    columns = [
        Column("projection"),
        Column("mode", style="dim"),
        Column("state"),
        Column("position", "right"),
        Column("lag", "right"),
        Column("delay", "right"),
        Column("rate", "right"),
        Column("left", "right"),
        Column("parked", "right"),
        Column("owner", style="dim"),
    ]
    shown = table(columns, [_row(one) for one in found])
    head = Text(f"head {found[0].head:,}", style="dim")
    return Group(shown, Text(), head, *_whys(found))


def _row(one: ProjectionStatus) -> list[object]:
    word = state_word(one)
    return [
        Text(printable(one.name), style="bold"),
        one.mode,
        Text(word, style=_STYLES.get(word, "")),
        f"{one.position:,}",
        Text(f"{one.lag_events:,}", style="yellow" if one.lag_events else ""),
        duration(one.delay_s) if one.delay_s else "-",
        f"{one.events_per_s:,.0f}/s" if one.events_per_s else "-",
        duration(one.eta_s) if one.eta_s else "-",
        Text(f"{one.parked_keys:,}", style="bold red") if one.parked_keys else "-",
        _owner(one),
    ]


def _owner(one: ProjectionStatus) -> str:
    """The process that moves it, `pid@host`; `--json` has all that tells it from a later one."""
    return printable(one.owner.partition(":")[0]) if one.owner and one.state != "stopped" else "-"


def _whys(found: Iterable[ProjectionStatus]) -> list[Text]:
    whys: list[Text] = []
    for one in found:
        why = why_of(one)
        if why:
            whys += [
                Text(),
                Text(f"{one.name}: ", style="bold red").append(printable(why), "not bold"),
            ]
    return whys


def why_of(one: ProjectionStatus) -> str:
    """What is in its way; '' when nothing is."""
    if not one.why and one.state == "stopped" and one.lag_events:
        ended = f"{one.owner} has ended, and " if one.owner else ""
        return f"{ended}no process moves it: start one with diptych projections run"
    if one.why or one.state != "changed":
        return one.why
    return (
        f"the rows of {one.name} were made by another version of it. Rebuild it: "
        f"diptych projections rebuild {one.name}"
    )


def state_word(one: ProjectionStatus) -> str:
    """The state as it is shown. `stopped` only means that no runner of this process moves it, and
    nobody who looks from outside expects one to.
    """
    if one.state == "stopped":
        return "behind" if one.lag_events else "at head"
    return one.state


class Rates:
    """Gives projections that run elsewhere the rate at which they were seen to move."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, float]] = {}

    def added_to(self, found: Sequence[ProjectionStatus]) -> list[ProjectionStatus]:
        """The same, with rates."""
        now = time.monotonic()
        made = []
        for one in found:
            position, at = self._seen.get(one.name, (one.position, now))
            self._seen[one.name] = (one.position, now)
            rate = max(0, one.position - position) / (now - at) if now > at else 0.0
            rate = one.events_per_s or rate
            left_s = one.lag_events / rate if rate else one.eta_s
            made.append(msgspec.structs.replace(one, events_per_s=rate, eta_s=left_s))
        return made


class ChangedLines:
    """Lines for what changed: a state at once, a position every `every_s` seconds."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._said: dict[str, tuple[tuple[str, str], int, float]] = {}

    def changed(self, found: Sequence[ProjectionStatus]) -> list[ProjectionStatus]:
        """Those worth a line now."""
        now = time.monotonic()
        worth = []
        for one in found:
            state, position, at = self._said.get(one.name, (("", ""), -1, 0.0))
            looks_new = (one.state, one.why) != state
            if looks_new or (one.position != position and now - at >= self._every_s):
                self._said[one.name] = ((one.state, one.why), one.position, now)
                worth.append(one)
        return worth

    def print(self, found: Sequence[ProjectionStatus]) -> None:
        """Print them."""
        for one in self.changed(found):
            line = f"{one.name}: {state_word(one)} at {one.position:,}"
            if one.lag_events:
                line += f", {counted(one.lag_events, 'event')} ({duration(one.delay_s)}) behind"
            if one.events_per_s:
                line += f", {one.events_per_s:,.0f}/s"
            if one.eta_s:
                line += f", {duration(one.eta_s)} left"
            if one.parked_keys:
                line += f", {counted(one.parked_keys, 'key')} parked"
            print_line(printable(line + (f": {one.why}" if one.why else "")))


class StatusScreen:
    """A table that changes in place on a terminal, lines in a pipe; nothing if not `live`."""

    def __init__(self, lines: ChangedLines, *, live: bool) -> None:
        self._lines = lines
        self._live: Live | None = None
        if live and sys.stdout.isatty():
            self._live = Live(console=console(), auto_refresh=False)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def show(self, found: Sequence[ProjectionStatus]) -> None:
        """Show where they stand now."""
        if self._live is None:
            self._lines.print(found)
        else:
            self._live.update(status_table(found), refresh=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
