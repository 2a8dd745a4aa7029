"""How far something has come: a live bar on a terminal, a line every few seconds elsewhere.

Always on stderr, so that stdout holds results only.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

__all__ = ["Progress", "duration"]

_LINE_EVERY_S = 3.0


class Progress:
    """Use as a context manager and call with what is done, and how much there is if that is known.

    Args:
        what: What is going on, as in "Rebuilding cart_pages".
        unit: What is counted.
    """

    def __init__(self, what: str, unit: str = "events") -> None:
        self._what = what
        self._unit = unit
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._started = self._said = time.monotonic()
        self._first: int | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._bar = _bar(self._unit)
            self._bar.start()
        return self

    def __call__(self, done: int, total: int | None = None) -> None:
        """Say how far it is."""
        if self._first is None:
            self._first = done
            self._started = time.monotonic()
        if self._bar is not None:
            if self._task is None:
                self._task = self._bar.add_task(self._what, total=total, completed=done, rate=0.0)
            rate = (done - self._first) / max(time.monotonic() - self._started, 1e-9)
            self._bar.update(self._task, completed=done, total=total, rate=rate)
        elif time.monotonic() - self._said >= _LINE_EVERY_S:
            self._said = time.monotonic()
            self._line(done, total)

    def note(self, text: str) -> None:
        """Print a line beside the bar."""
        if self._bar is not None:
            from rich.text import Text

            self._bar.console.print(Text(text))
        else:
            print(text, file=sys.stderr, flush=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _line(self, done: int, total: int | None) -> None:
        rate = (done - (self._first or 0)) / max(time.monotonic() - self._started, 1e-9)
        text = f"{self._what}: {done:,}"
        if total is not None:
            text += f" of {total:,} {self._unit} ({done / total if total else 1:.0%})"
        else:
            text += f" {self._unit}"
        if rate:  # not told yet with the first number
            text += f", {rate:,.0f}/s"
        if total is not None and rate and total > done:
            text += f", {duration((total - done) / rate)} left"
        print(text, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Seconds as people say them: `40 ms`, `1.5 s`, `45 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def _bar(unit: str) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    return Bar(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.completed:,.0f} " + unit, style="dim"),
        TextColumn("{task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True, highlight=False),
        expand=True,
        transient=True,
    )
