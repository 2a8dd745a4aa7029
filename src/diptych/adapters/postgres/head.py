"""Waiting for the log to grow, in this process or another."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from diptych.adapters.postgres.connecting import connect_through
from diptych.adapters.postgres.errors import DRIVER_ERRORS
from diptych.errors import StoreError, StoreUnavailable

__all__ = ["HeadWatch"]

_LOOK_EVERY_S = 0.5


class HeadWatch:
    """Wakes those who wait for a position.

    Commits of this process wake them at once, those of other processes by NOTIFY. Twice a second,
    and whenever the connection that listens was lost and is made anew, the head is looked at, in
    case a word was lost. Nobody waiting, nobody looks; the first to wait makes the connection.
    """

    def __init__(
        self,
        read_head: Callable[[], Awaitable[int]],
        connect: Callable[[], Awaitable[asyncpg.Connection]],
        channel: str,
        place: str,
    ) -> None:
        self._read_head = read_head
        self._connect = connect
        self._channel = channel
        self._place = place
        self._waiting: list[tuple[int, asyncio.Future[int]]] = []
        self._connection: asyncpg.Connection | None = None
        self._looking: asyncio.Task[None] | None = None
        self._closed = False

    async def wait(self, after: int) -> int:
        """The head, as soon as it is greater than `after`."""
        if self._closed:
            raise self._was_closed()
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((after, future))
        if self._looking is None:
            self._looking = asyncio.ensure_future(self._look())
        return await future

    def moved(self, head: int) -> None:
        """Wake all who wait for a position below `head`."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        for after, future in waiting:
            if future.done():  # cancelled
                continue
            if after < head:
                future.set_result(head)
            else:
                self._waiting.append((after, future))

    def forget(self) -> None:
        """Listen anew, on another connection, for as long as somebody waits."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def close(self) -> None:
        """Tell all who wait that there will be nothing more."""
        self._closed = True
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
            await asyncio.wait([looking])
        waiting, self._waiting = self._waiting, []
        for _, future in waiting:
            if not future.done():
                future.set_exception(self._was_closed())
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    def abandon(self) -> None:
        """Let go of a connection whose event loop is gone."""
        self._closed = True
        if self._connection is not None:
            with contextlib.suppress(Exception):
                self._connection.terminate()

    async def _look(self) -> None:
        """Look at the head while somebody waits, and now and then listen anew."""
        while self._waiting:
            # Listen first: what is committed after the look is told.
            with contextlib.suppress(StoreError, *DRIVER_ERRORS):
                await self._listen()
            with contextlib.suppress(StoreError):  # whoever needs the head next is told why
                self.moved(await self._read_head())
            self._waiting = [entry for entry in self._waiting if not entry[1].done()]
            if self._waiting:
                await asyncio.sleep(_LOOK_EVERY_S)
                self._waiting = [entry for entry in self._waiting if not entry[1].done()]
        self._looking = None

    async def _listen(self) -> None:
        if self._connection is not None and not self._connection.is_closed():
            return
        connection = await connect_through(self._connect, _drop)
        self._connection = connection
        await connection.add_listener(self._channel, self._told)

    def _told(self, *message: Any) -> None:
        with contextlib.suppress(ValueError):
            self.moved(int(message[-1]))

    def _was_closed(self) -> StoreUnavailable:
        return StoreUnavailable(f"the log in {self._place} was closed while waiting.")


def _drop(connection: asyncpg.Connection | None) -> None:
    if connection is not None:
        connection.terminate()
