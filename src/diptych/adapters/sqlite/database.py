"""One database file, shared by everything in this process that uses it."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from typing import TypeVar

import apsw

from diptych.adapters.sqlite.connection import connect_reading, connect_writing
from diptych.adapters.sqlite.errors import translate
from diptych.adapters.sqlite.head import HeadWatch
from diptych.adapters.sqlite.jobs import WorkJob
from diptych.adapters.sqlite.nudge import Nudge
from diptych.adapters.sqlite.reader import Reader
from diptych.adapters.sqlite.statements import sql
from diptych.adapters.sqlite.url import Location
from diptych.adapters.sqlite.writer import Writer
from diptych.errors import ConfigurationError

__all__ = ["SqliteDatabase"]

T = TypeVar("T")

_shared: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, SqliteDatabase]] = (
    weakref.WeakKeyDictionary()
)


class SqliteDatabase:
    """A writer and a reader of one file, and those who want to know when its log grows.

    A log and read stores on the same file share one, so that their writes commit in one transaction
    with one sync of the disk. Event loops share nothing: two of them are to SQLite what two
    processes are.
    """

    writer: Writer
    reader: Reader
    connection: apsw.Connection

    def __init__(self, location: Location) -> None:
        self.location = location
        self.loop = asyncio.get_running_loop()
        self._users = 0
        self._changing = asyncio.Lock()
        self._watches: list[HeadWatch] = []

    @staticmethod
    async def share(location: Location) -> SqliteDatabase:
        """The database at `location`, open; call `release` when it is no longer needed."""
        databases = _shared.setdefault(asyncio.get_running_loop(), {})
        database = databases.get(location.path)
        if database is None:
            database = databases[location.path] = SqliteDatabase(location)
        elif database.location != location:
            raise ConfigurationError(
                f"{location.path} is in use with other options: {database.location} and {location}."
                " Give both the same options, or two files."
            )
        database._users += 1
        try:
            async with database._changing:
                if not hasattr(database, "writer"):
                    await database._open()
        except BaseException:
            database._forget()
            raise
        return database

    async def release(self) -> None:
        """Finish what was submitted, and close everything if nobody else uses it."""
        if self.loop.is_closed():
            # Nobody closed us while it ran. Whatever was submitted has committed or never will.
            self.writer.abandon()
        elif self._forget():
            async with self._changing:
                await self._close()
        else:
            await self.write(lambda _: None, size=0)

    async def write(
        self,
        write: Callable[[apsw.Connection], T],
        check: Callable[[apsw.Connection], None] | None = None,
        size: int = 1 << 30,
    ) -> T:
        """Run `write` in the writer's next transaction; see WorkJob."""
        result: T = await self.writer.commit(WorkJob(write, check, size))
        return result

    def watch(self) -> HeadWatch:
        """A new watch over the head of the log; give it to `unwatch` in the end."""
        watch = HeadWatch(self._head_now, self.location.path)
        self._watches.append(watch)
        return watch

    def unwatch(self, watch: HeadWatch) -> None:
        """Close a watch: all who wait get StoreUnavailable."""
        self._watches.remove(watch)
        watch.close()

    def _forget(self) -> bool:
        self._users -= 1
        if self._users:
            return False
        databases = _shared.get(self.loop, {})
        if databases.get(self.location.path) is self:
            del databases[self.location.path]
        return True

    async def _open(self) -> None:
        nudge = Nudge()
        try:
            self.connection = await asyncio.to_thread(connect_writing, self.location)
            try:
                reading = await asyncio.to_thread(connect_reading, self.location)
            except BaseException:
                self.connection.close()
                raise
        except apsw.Error as error:
            raise translate(error, self.location.path) from error
        self.reader = Reader(reading, self.location, nudge)
        self.writer = Writer(self.connection, self.location, self._head_moved, nudge)

    async def _close(self) -> None:
        await self.writer.close()
        await self.reader.close()
        # The last connection of the last process moves the WAL into the database and removes it.
        await asyncio.to_thread(self.connection.close)

    def _head_now(self) -> int:
        head: int = self.reader.now(sql("select_head"), ())[0][0]
        return head

    def _head_moved(self, head: int) -> None:
        for watch in self._watches:
            watch.moved(head)
