"""Waiting for the log to grow, in this process or another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import apsw

from diptych.adapters.sqlite.errors import translate
from diptych.errors import StoreUnavailable

__all__ = ["HeadWatch"]

_SHORTEST_S = 0.002
_LONGEST_S = 0.020


class HeadWatch:
    """Wakes those who wait for a position.

    Commits of this process wake them at once. For those of other processes the head is looked at
    every 2 ms, and less often (20 ms) the longer nothing happens; nobody waiting, nobody looks.
    """

    def __init__(self, read_head: Callable[[], int], path: str) -> None:
        self._read_head = read_head
        self._path = path
        self._waiting: list[tuple[int, asyncio.Future[int]]] = []
        self._pause_s = _SHORTEST_S
        self._timer: asyncio.TimerHandle | None = None

    def add(self, after: int) -> asyncio.Future[int]:
        """A future for the head, as soon as it is greater than `after`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        self._waiting.append((after, future))
        if self._timer is None:
            self._pause_s = _SHORTEST_S
            self._timer = loop.call_later(self._pause_s, self._look)
        return future

    def moved(self, head: int) -> None:
        """Wake all who wait for a position below `head`."""
        if not self._waiting:
            return
        self._pause_s = _SHORTEST_S
        waiting, self._waiting = self._waiting, []
        for after, future in waiting:
            if future.done():  # cancelled
                continue
            if after < head:
                future.set_result(head)
            else:
                self._waiting.append((after, future))

    def close(self) -> None:
        """Tell all who wait that there will be nothing more."""
        self._fail(lambda: StoreUnavailable(f"the log in {self._path} was closed while waiting."))

    def _look(self) -> None:
        self._timer = None
        self._waiting = [entry for entry in self._waiting if not entry[1].done()]
        if not self._waiting:
            return
        try:
            head = self._read_head()
        except apsw.BusyError:
            head = 0
        except apsw.Error as error:
            cause = error
            self._fail(lambda: translate(cause, self._path))
            return
        if head > min(after for after, _ in self._waiting):
            self.moved(head)
        else:
            self._pause_s = min(self._pause_s * 1.3, _LONGEST_S)
        self._timer = asyncio.get_running_loop().call_later(self._pause_s, self._look)

    def _fail(self, make_error: Callable[[], BaseException]) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        for _, future in waiting:
            if not future.done():
                future.set_exception(make_error())
