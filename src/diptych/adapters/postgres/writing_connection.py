"""The one connection on which a log is written, with its statements prepared."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import asyncpg

from diptych.adapters.postgres.connection import connect_writing
from diptych.adapters.postgres.errors import DRIVER_ERRORS
from diptych.adapters.postgres.silence import Silence, WatchedConnection
from diptych.adapters.postgres.statements import sql
from diptych.adapters.postgres.url import Location

__all__ = ["WritingConnection"]

T = TypeVar("T")

_SHORTEST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0


class WritingConnection:
    """A connection that is made when needed, and made anew when it was lost.

    After a failure the next one who needs it waits a little, and longer each time, so that a server
    that comes back is not run over.
    """

    append_event: Any
    append_batch: Any
    select_commands: Any

    def __init__(self, location: Location, silence: Silence) -> None:
        self._location = location
        self._silence = silence
        self._connection: WatchedConnection | None = None
        self._pause_s = 0.0
        self.doubts: list[Sequence[Callable[[], None]]] = []

    @property
    def is_open(self) -> bool:
        """Whether it can be used, as far as one can know without trying."""
        return self._connection is not None and not self._connection.is_closed()

    @property
    def handle(self) -> WatchedConnection:
        """The driver's connection. Raises a driver error when it was lost."""
        if self._connection is None:
            raise asyncpg.ConnectionDoesNotExistError("the connection was lost before")
        return self._connection

    async def promptly(self, answer: Awaitable[T], size: int) -> T:
        """The answer of one of the prepared statements, which sends so many bytes. Raises driver
        errors, and NoAnswer.
        """
        return await self.handle.promptly(answer, size)

    async def open(self) -> None:
        """Connect where there is no connection. Raises driver errors."""
        if self.is_open:
            return
        self.drop()
        if self._pause_s:
            await asyncio.sleep(self._pause_s)
        self._pause_s = min(max(self._pause_s * 2, _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S)
        connection = await connect_writing(self._location, self._silence)
        try:
            schema = self._location.schema
            self.append_event = await connection.prepare(sql("append_event", schema))
            self.append_batch = await connection.prepare(sql("append_batch", schema))
            self.select_commands = await connection.prepare(sql("select_commands", schema))
        except BaseException:
            connection.terminate()
            raise
        self._connection = connection
        self._pause_s = 0.0
        for forgetters in self.doubts:
            for forget in forgetters:
                forget()

    async def roll_back(self) -> bool:
        """Leave no transaction open; False when the connection is lost."""
        try:
            if self.is_open:
                if self.handle.is_in_transaction():
                    await self.handle.execute("ROLLBACK")
                return True
        except DRIVER_ERRORS:
            pass
        self.drop()
        return False

    def drop(self) -> None:
        """Let go of it without a word to the server."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):  # its event loop may be gone
                connection.terminate()

    async def close(self) -> None:
        """Let go of it in order."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                await connection.close(timeout=1)
