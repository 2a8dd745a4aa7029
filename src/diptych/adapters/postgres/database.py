"""One schema of a database, shared by everything on this event loop that uses it."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import asyncpg

from diptych.adapters.postgres.connection import (
    connect_keyed,
    connect_reading,
    connect_writing,
)
from diptych.adapters.postgres.head import HeadWatch
from diptych.adapters.postgres.pool import Pool
from diptych.adapters.postgres.silence import Silence
from diptych.adapters.postgres.url import Location
from diptych.adapters.postgres.writer import Writer
from diptych.errors import ConfigurationError

__all__ = ["PostgresDatabase"]

_TRANSACTIONS = 4
"""Connections for transactions of the read store: projections that write at the same time."""

_shared: weakref.WeakKeyDictionary[
    asyncio.AbstractEventLoop, dict[tuple[str, str], PostgresDatabase]
] = weakref.WeakKeyDictionary()


class PostgresDatabase:
    """The connections to one schema: some that read, some for transactions.

    A log and read stores of the same URL share one. Event loops share nothing: two of them are to
    PostgreSQL what two processes are. A server that was restarted is connected to again by whoever
    needs it next.

    Behind PgBouncer, use session mode: in transaction mode another server process answers every
    transaction, so nobody hears notifications (LISTEN), statements prepared once are unknown
    elsewhere (unless max_prepared_statements is set, from 1.21 on), and settings are not kept.
    """

    server_version = ""

    def __init__(self, location: Location) -> None:
        self.location = location
        self.loop = asyncio.get_running_loop()
        self._users = 0
        self._changing = asyncio.Lock()
        make = partial(Pool, place=location.place, patience_s=location.timeout_s)
        self.silence = Silence(location)
        self._reading = make(partial(connect_reading, location, self.silence), location.connections)
        self._keyed = make(partial(connect_keyed, location, self.silence), location.connections)
        self.watches: list[HeadWatch] = []
        self._writer: Writer | None = None
        self._writing = make(partial(connect_writing, location, self.silence), _TRANSACTIONS)
        self.silence.noticed.append(self._distrust)

    @staticmethod
    async def share(location: Location) -> PostgresDatabase:
        """The database at `location`, reachable; call `release` when it is no longer needed."""
        databases = _shared.setdefault(asyncio.get_running_loop(), {})
        key = _key(location)
        database = databases.get(key)
        if database is None:
            database = databases[key] = PostgresDatabase(location)
        elif database.location != location:
            raise ConfigurationError(
                f"{location.place} is in use with other options: {database.location} and "
                f"{location}. Give both the same options, or two schemas."
            )
        database._users += 1
        try:
            async with database._changing:
                if not database.server_version:
                    await database._open()
        except BaseException:
            await database.release()
            raise
        return database

    async def release(self) -> None:
        """Close everything if nobody else uses it."""
        self._users -= 1
        if self._users:
            return
        databases = _shared.get(self.loop, {})
        if databases.get(_key(self.location)) is self:
            del databases[_key(self.location)]
        writer, self._writer = self._writer, None
        if writer is not None:
            if self.loop.is_closed():
                writer.abandon()
            else:
                await writer.close()
        for pool in (self._reading, self._keyed, self._writing):
            if self.loop.is_closed():
                pool.terminate()
            else:
                await pool.close()
        self.silence.close()

    def writer(self, time_us: Callable[[], int]) -> Writer:
        """The writer of the log in this schema; all who share the database share it."""
        if self._writer is None:
            self._writer = Writer(self.location, self._head_moved, time_us, self.silence)
        return self._writer

    async def fetch(self, statement: str, *arguments: Any) -> list[Any]:
        """The rows of one short statement of ours, which finds rows by key or in the order of an
        index. Raises translated errors; StoreUnavailable when it took longer than `silence_s`.
        """
        return await self._keyed.fetch(statement, *arguments, promptly=True)

    async def find(self, statement: str, *arguments: Any) -> list[Any]:
        """As `fetch`, for a statement that may have to look at any number of rows."""
        return await self._keyed.fetch(statement, *arguments)

    async def select(self, statement: str, *arguments: Any) -> list[Any]:
        """The rows of any other statement that only reads. Raises translated errors."""
        return await self._reading.fetch(statement, *arguments)

    def reading(self) -> AbstractAsyncContextManager[asyncpg.Connection]:
        """A connection for several statements that only read. Raises translated errors."""
        return self._reading.use()

    def snapshot(self) -> AbstractAsyncContextManager[asyncpg.Connection]:
        """A connection on which several reads see one state. Raises translated errors."""
        return self._reading.transaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def writing(self) -> AbstractAsyncContextManager[asyncpg.Connection]:
        """A connection that may write, without a transaction of its own: one statement is one.
        Raises translated errors.
        """
        return self._writing.use()

    def transaction(self) -> AbstractAsyncContextManager[asyncpg.Connection]:
        """A connection in a transaction that is committed in the end, or rolled back by an error.

        However it is left, cancelled at any point too, nobody else gets a connection with a
        transaction in it. Raises translated errors, and OutcomeUnknown when the connection was lost
        during the commit.
        """
        return self._writing.transaction()

    def _head_moved(self, head: int) -> None:
        for watch in self.watches:
            watch.moved(head)

    def _distrust(self) -> None:
        """One connection was found silent: those that nobody uses are not kept."""
        for pool in (self._reading, self._keyed, self._writing):
            pool.forget_idle()
        for watch in self.watches:
            watch.forget()
        if self._writer is not None:
            self._writer.forget()

    async def _open(self) -> None:
        async with self._keyed.use() as connection:
            version = connection.get_server_version()
        self.server_version = f"{version.major}.{version.minor}"


def _key(location: Location) -> tuple[str, str]:
    return location.dsn, location.schema
