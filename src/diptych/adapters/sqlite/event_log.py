"""The event log in an SQLite file."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

from diptych.adapters.sqlite.database import SqliteDatabase
from diptych.adapters.sqlite.head import HeadWatch
from diptych.adapters.sqlite.jobs import AppendJob
from diptych.adapters.sqlite.log_tables import make_log_tables
from diptych.adapters.sqlite.matching import positions_matching
from diptych.adapters.sqlite.statements import sql
from diptych.adapters.sqlite.transaction import STORED_EVENT, append_within
from diptych.adapters.sqlite.url import locate
from diptych.environment import Environment
from diptych.errors import ConfigurationError, StoreUnavailable
from diptych.events.condition import EventFilter
from diptych.events.log import Append, Appended, CommandRecord, Participant, Snapshot, StoredEvent
from diptych.events.obstacle import Obstacle

__all__ = ["SqliteEventLog"]

_SLICE = 1000
"""Events read in one go: 1.5 ms, after which the event loop gets a turn."""
_NO_LIMIT = 1 << 62
_TIME_PER_SLICE_S = 0.002


class SqliteEventLog:
    """An EventLog in one file, for any number of processes on one machine.

    >>> log = SqliteEventLog("sqlite:///shop.db")

    Every guarantee of the port holds with synchronous=full (the default). With synchronous=normal,
    the last commits may be lost when the machine dies (G2), and nothing else. The file must be on a
    local disk: network file systems do not lock reliably.
    """

    volatile = False

    def __init__(
        self, url_or_path: str | os.PathLike[str], *, environment: Environment | None = None
    ) -> None:
        self._location = locate(url_or_path)
        self._environment = environment or Environment()
        self._participants: list[Participant] = []
        self._database: SqliteDatabase | None = None
        self._identity = ""
        self._watch: HeadWatch

    @property
    def identity(self) -> str:
        """Name of this log, known once it was opened."""
        if not self._identity:
            raise StoreUnavailable(
                f"the log in {self._location.path} was never opened: call `await log.open()` first."
            )
        return self._identity

    def describe(self) -> dict[str, str]:
        """SQLite's version, the file, and what a commit waits for."""
        return self._location.describe()

    async def open(self) -> None:
        """Connect, and make the tables where there are none. Calling again does nothing.

        Raises SchemaTooNew, StoreUnavailable, and ConfigurationError when the file holds somebody
        else's tables.
        """
        if self._database is not None:
            if not self._database.loop.is_closed():
                return
            await self.close()
        identity, now_us = self._environment.new_id(), self._environment.time_us()
        database = await SqliteDatabase.share(self._location)
        try:
            self._identity = await database.write(
                lambda connection: make_log_tables(
                    connection, self._location.path, identity, now_us
                )
            )
        except BaseException:
            await database.release()
            raise
        self._database, self._watch = database, database.watch()

    async def close(self) -> None:
        """Finish what was accepted, then let go of everything; those who wait are told.

        Calling again does nothing.
        """
        database, self._database = self._database, None
        if database is not None:
            database.unwatch(self._watch)
            await database.release()

    async def held_up_by(self) -> Obstacle | None:
        """Not known: SQLite does not tell who holds the lock of a file."""
        return None

    def when_in_doubt(self, forget: Callable[[], None]) -> None:
        """Never: a file has no replica that could take its place while it is open."""

    def join(self, participant: Participant) -> None:
        """Let a participant commit with every append from now on."""
        self._participants.append(participant)

    async def append(self, append: Append) -> Appended:
        """Add to the log.

        Raises VersionConflict, AppendConditionFailed, what a participant raises, StoreUnavailable
        and OutcomeUnknown.
        """
        database = self._opened()
        if len(append.streams) > 1:
            _refuse_twice_named(append)
        recorded_us = append.recorded_us or self._environment.time_us()
        job = AppendJob(append, self._participants, recorded_us)
        appended: Appended = await database.writer.commit(job)
        return appended

    async def append_within(self, transaction: Any, append: Append) -> Appended:
        """Add to the log in a transaction of another apsw connection to the same file.

        Everybody else who writes to the file waits from its first write until it ends. Raises as
        `append`; then the transaction must be rolled back.
        """
        self._opened()
        _refuse_twice_named(append)
        recorded_us = append.recorded_us or self._environment.time_us()
        job = AppendJob(append, self._participants, recorded_us)
        return append_within(transaction, self._location.path, job)

    async def read(
        self, after: int, limit: int, filters: tuple[EventFilter, ...] = ()
    ) -> list[StoredEvent]:
        """Up to `limit` events with position > `after` that match one of `filters` (none: all)."""
        if filters:
            return await self._read_matching(after, limit, filters)
        return await self._read_range(sql("select_events"), (), after, limit)

    async def read_stream(
        self, stream: str, after: int = 0, limit: int | None = None
    ) -> list[StoredEvent]:
        """Events of one stream with version > `after`."""
        limit = _NO_LIMIT if limit is None else limit
        return await self._read_range(sql("select_stream"), (stream,), after, limit, by=2)

    async def head(self) -> int:
        """The highest position."""
        database = self._opened()
        head: int = (await database.reader.small(sql("select_head"), ()))[0][0]
        return head

    async def wait(self, after: int) -> int:
        """Return the head as soon as it is greater than `after`."""
        head = await self.head()
        if head > after:
            return head
        return await self._watch.add(after)

    async def snapshot(self, stream: str) -> Snapshot | None:
        """The snapshot of a stream, if there is one."""
        database = self._opened()
        found = await database.reader.small(sql("select_snapshot"), (stream,))
        return Snapshot._make(found[0]) if found else None

    async def command(self, command_id: str) -> CommandRecord | None:
        """The first answer to a command id, if it was recorded."""
        database = self._opened()
        found = await database.reader.small(sql("select_command"), (command_id,))
        return CommandRecord._make(found[0]) if found else None

    async def _read_range(
        self, statement: str, of: tuple[str, ...], after: int, limit: int, by: int = 0
    ) -> list[StoredEvent]:
        """Read in slices. Nothing ever changes behind us, so several reads see one log."""
        events: list[StoredEvent] = []
        while True:
            database = self._opened()
            size = min(limit - len(events), _SLICE)
            rows = await database.reader.small(statement, (*of, after, max(size, 0)))
            events += map(STORED_EVENT, rows)
            if len(rows) < _SLICE or len(events) >= limit:
                return events
            after = rows[-1][by]
            await asyncio.sleep(0)

    async def _read_matching(
        self, after: int, limit: int, filters: tuple[EventFilter, ...]
    ) -> list[StoredEvent]:
        """Read in slices of the log, as wide as one look may take long."""
        events: list[StoredEvent] = []
        head = await self.head()
        width = _SLICE
        while after < head and len(events) < limit:
            database = self._opened()
            upto = min(after + width, head)
            began = time.perf_counter()
            select, parameters = positions_matching(filters, after, upto)
            size = min(limit - len(events), _SLICE)
            rows = await database.reader.small(
                sql("select_events_at").replace("/*positions*/", select), (*parameters, size)
            )
            events += map(STORED_EVENT, rows)
            after = rows[-1][0] if len(rows) == size else upto
            took = time.perf_counter() - began
            width = (
                min(width * 2, 1 << 20) if took < _TIME_PER_SLICE_S / 2 else max(width // 2, 100)
            )
            await asyncio.sleep(0)
        return events

    def _opened(self) -> SqliteDatabase:
        if self._database is None:
            raise StoreUnavailable(
                f"the log in {self._location.path} is not open: call `await log.open()` first."
            )
        return self._database


def _refuse_twice_named(append: Append) -> None:
    names = [stream.stream for stream in append.streams]
    if len(set(names)) < len(names):
        raise ConfigurationError(
            f"an append names a stream twice: {', '.join(names)}. "
            "Put a stream's events into one StreamAppend."
        )
