"""Who waits for which projection to reach which position, and is woken when it does."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from typing import Any

__all__ = ["Arrivals"]


class Arrivals:
    """How far each projection of this process has come, and who waits for more."""

    def __init__(self) -> None:
        self._reached: dict[str, int] = {}
        self._waiting: dict[str, list[tuple[int, int, asyncio.Future[None]]]] = {}
        self._troubles: dict[str, str] = {}
        self._stopped: set[str] = set()
        self._distrusted: set[str] = set()
        self._here: set[str] = set()
        self._order = itertools.count()
        self._impatient: set[asyncio.Event] = set()

    def reached(self, projection: str) -> int:
        """The position a projection has come to, as far as this process knows."""
        return self._reached.get(projection, 0)

    def trouble(self, projection: str) -> str:
        """Why a projection does not move; '' when nothing is wrong."""
        return self._troubles.get(projection, "")

    def take(self, projection: str) -> None:
        """A runner of this process moves it from now on."""
        self._here.add(projection)

    def leave(self, projection: str) -> None:
        """None of this process moves it any more: who waits must look elsewhere."""
        if projection in self._here:
            self._here.discard(projection)
            self._reached.pop(projection, None)
            self._troubles.pop(projection, None)
            self._stopped.discard(projection)
            self._distrusted.discard(projection)
            self._wake(projection)

    def is_here(self, projection: str) -> bool:
        """Whether a runner of this process moves it."""
        return projection in self._here

    def arrive(self, projection: str, position: int) -> None:
        """A projection has come to `position`: wake everybody who waited for no more than that."""
        self._reached[projection] = position
        self._troubles.pop(projection, None)
        self._stopped.discard(projection)
        self._distrusted.discard(projection)
        waiting = self._waiting.get(projection)
        while waiting and waiting[0][0] <= position:
            _, _, future = heapq.heappop(waiting)
            if not future.done():
                future.set_result(None)

    def stop(self, projection: str, why: str, *, distrust: bool = False) -> None:
        """A projection will not move until somebody does something: tell everybody who waits.

        With `distrust`, its rows belong to another history of the log, and its checkpoint says
        nothing.
        """
        self._troubles[projection] = why
        self._stopped.add(projection)
        if distrust:
            self._distrusted.add(projection)
        self._wake(projection)

    def note(self, projection: str, why: str) -> None:
        """A projection is held up for now; who waits goes on, and is told why if in vain."""
        self._troubles[projection] = why

    def forget(self) -> None:
        """Nothing runs any more: believe nothing, and let everybody who waits look elsewhere."""
        self._reached.clear()
        self._troubles.clear()
        self._stopped.clear()
        self._distrusted.clear()
        self._here.clear()
        for projection in list(self._waiting):
            self._wake(projection)

    def stopped(self, projection: str) -> bool:
        """Whether a projection will not move until somebody does something."""
        return projection in self._stopped

    def distrusted(self, projection: str) -> bool:
        """Whether the rows of a projection belong to another history of the log."""
        return projection in self._distrusted

    def anybody_waiting(self) -> bool:
        """Whether somebody waits for any projection."""
        return any(self._waiting.values())

    def call_when_waiting(self, event: asyncio.Event) -> None:
        """Set `event` as soon as somebody begins to wait."""
        self._impatient.add(event)

    async def wait(self, projection: str, position: int, within_s: float) -> bool:
        """Wait until a projection has come to `position`; False when it did not, or cannot."""
        if self.reached(projection) >= position:
            return True
        if within_s <= 0 or projection in self._stopped:
            return False
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        entry = (position, next(self._order), future)
        heapq.heappush(self._waiting.setdefault(projection, []), entry)
        for event in self._impatient:
            event.set()
        timer = loop.call_later(within_s, _give_up, future)
        try:
            await future
        finally:
            timer.cancel()
            self._forget(projection, entry)
        return self.reached(projection) >= position

    def _wake(self, projection: str) -> None:
        for _, _, future in self._waiting.pop(projection, []):
            if not future.done():
                future.set_result(None)

    def _forget(self, projection: str, entry: Any) -> None:
        waiting = self._waiting.get(projection)
        if waiting and entry in waiting:
            waiting.remove(entry)
            heapq.heapify(waiting)


def _give_up(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
