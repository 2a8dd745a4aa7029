"""Letting a thread have the interpreter while the event loop is never idle."""

from __future__ import annotations

import asyncio
import time

__all__ = ["Nudge"]

_EVERY_S = 0.002
_FOR_S = 0.000_05


class Nudge:
    """Gives the interpreter away for a moment, again and again, while a thread has work to do.

    A busy event loop gives it away only for the microsecond in which it looks for input. A thread
    that is woken by that comes too late, and, being woken, never waits long enough to insist: it
    can starve for seconds. Sleeping 50 us every 2 ms lets it take one step each time.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._working = 0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """A thread has something to do."""
        self._working += 1
        if self._timer is None:
            self._timer = self._loop.call_later(_EVERY_S, self._give_way)

    def end(self, times: int = 1) -> None:
        """It has done it."""
        self._working -= times

    def _give_way(self) -> None:
        self._timer = None
        if self._working > 0:
            time.sleep(_FOR_S)
            self._timer = self._loop.call_later(_EVERY_S, self._give_way)
