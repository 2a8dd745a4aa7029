"""The event log in a PostgreSQL schema."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from diptych.adapters.postgres.append_within import append_within
from diptych.adapters.postgres.connection import connect_listening
from diptych.adapters.postgres.database import PostgresDatabase
from diptych.adapters.postgres.head import HeadWatch
from diptych.adapters.postgres.jobs import AppendJob
from diptych.adapters.postgres.looking_ahead import look_ahead
from diptych.adapters.postgres.migrations import channel_of, make_log_tables
from diptych.adapters.postgres.obstacles import what_holds_up_appends
from diptych.adapters.postgres.reader import LogReader
from diptych.adapters.postgres.statements import sql
from diptych.adapters.postgres.url import locate
from diptych.environment import Environment
from diptych.errors import ConfigurationError, StoreUnavailable
from diptych.events.condition import EventFilter
from diptych.events.log import Append, Appended, CommandRecord, Participant, Snapshot, StoredEvent
from diptych.events.obstacle import Obstacle

__all__ = ["PostgresEventLog"]


class PostgresEventLog:
    """An EventLog in a schema of its own, for any number of processes and machines.

    >>> log = PostgresEventLog("postgresql://shop:secret@localhost/shop?schema=shop")

    Every guarantee of the port holds while the server's fsync and synchronous_commit are on, as it
    is delivered; `describe` says what they are. See PostgresDatabase about PgBouncer.
    """

    volatile = False

    def __init__(self, url: str, *, environment: Environment | None = None) -> None:
        self._location = locate(url)
        self._environment = environment or Environment()
        self._participants: list[Participant] = []
        self._database: PostgresDatabase | None = None
        self._doubts: list[Callable[[], None]] = []
        self._identity = ""
        self._known = self._location.describe()
        self._watch: HeadWatch
        self._reader: LogReader

    @property
    def identity(self) -> str:
        """Name of this log, known once it was opened."""
        if not self._identity:
            raise StoreUnavailable(
                f"the log in {self._location.place} was never opened: call `await log.open()` "
                "first."
            )
        return self._identity

    def describe(self) -> dict[str, str]:
        """PostgreSQL's version, the schema, and, once it was opened, what a commit waits for."""
        return dict(self._known)

    async def open(self) -> None:
        """Connect, and make the tables where there are none. Calling again does nothing.

        Raises SchemaTooNew, StoreUnavailable, and ConfigurationError when the schema holds somebody
        else's tables.
        """
        if self._database is not None:
            if not self._database.loop.is_closed():
                return
            await self.close()
        database = await PostgresDatabase.share(self._location)
        try:
            await self._look_around(database)
        except BaseException:
            await database.release()
            raise
        self._reader = LogReader(database)
        self._watch = HeadWatch(
            self._reader.head,
            partial(connect_listening, self._location, database.silence),
            channel_of(self._identity),
            self._location.place,
        )
        database.watches.append(self._watch)
        self._writer = database.writer(self._environment.time_us)
        self._writer.tell_when_in_doubt(self._doubts)
        self._database = database

    async def close(self) -> None:
        """Finish what was accepted, then let go of everything; those who wait are told.

        Calling again does nothing.
        """
        database, self._database = self._database, None
        if database is None:
            return
        database.watches.remove(self._watch)
        if database.loop.is_closed():
            self._watch.abandon()
        else:
            await self._watch.close()
        await database.release()

    async def held_up_by(self) -> Obstacle | None:
        """The database session that keeps appends waiting, by number, program and what it does."""
        return await what_holds_up_appends(self._opened())

    def when_in_doubt(self, forget: Callable[[], None]) -> None:
        """Call `forget` each time the connection that writes is made anew."""
        self._doubts.append(forget)

    def join(self, participant: Participant) -> None:
        """Let a participant commit with every append from now on."""
        self._participants.append(participant)

    async def append(self, append: Append) -> Appended:
        """Add to the log.

        Raises VersionConflict, AppendConditionFailed, what a participant raises, StoreUnavailable
        and OutcomeUnknown.
        """
        if self._database is None:
            self._opened()
        if append.condition is not None:
            append = await look_ahead(append, self._reader)
        return await self._writer.commit(self._job(append))

    async def append_within(self, transaction: Any, append: Append) -> Appended:
        """Add to the log in a transaction of an asyncpg connection to the same database.

        Everybody else who appends waits from now until it ends. Raises as `append`; then the
        transaction must be rolled back.
        """
        self._opened()
        return await append_within(
            transaction,
            self._location,
            self._identity,
            self._job(append),
            self._environment.time_us(),
        )

    async def read(
        self, after: int, limit: int, filters: tuple[EventFilter, ...] = ()
    ) -> list[StoredEvent]:
        """Up to `limit` events with position > `after`, ascending."""
        self._opened()
        if filters:
            return await self._reader.matching(after, limit, filters)
        return await self._reader.events(after, limit)

    async def read_stream(
        self, stream: str, after: int = 0, limit: int | None = None
    ) -> list[StoredEvent]:
        """Events of one stream with version > `after`."""
        self._opened()
        return await self._reader.stream(stream, after, limit)

    async def head(self) -> int:
        """The highest position."""
        self._opened()
        return await self._reader.head()

    async def wait(self, after: int) -> int:
        """Return the head as soon as it is greater than `after`."""
        self._opened()
        return await self._watch.wait(after)

    async def snapshot(self, stream: str) -> Snapshot | None:
        """The snapshot of a stream, if there is one."""
        self._opened()
        return await self._reader.snapshot(stream)

    async def command(self, command_id: str) -> CommandRecord | None:
        """The first answer to a command id, if it was recorded."""
        self._opened()
        return (await self._reader.commands([command_id])).get(command_id)

    async def _look_around(self, database: PostgresDatabase) -> None:
        schema = self._location.schema
        identity, now_us = self._environment.new_id(), self._environment.time_us()
        async with database.writing() as connection:
            self._identity = await make_log_tables(connection, schema, identity, now_us)
            waits, fsync = await connection.fetchrow(sql("select_durability", schema))
        self._known = self._location.describe() | {
            "adapter": f"PostgreSQL {database.server_version}",
            "commits": _commits(waits, fsync),
        }

    def _job(self, append: Append) -> AppendJob:
        if len(append.streams) > 1:
            _refuse_twice_named(append)
        return AppendJob(append, self._participants)

    def _opened(self) -> PostgresDatabase:
        if self._database is None:
            raise StoreUnavailable(
                f"the log in {self._location.place} is not open: call `await log.open()` first."
            )
        return self._database


def _commits(waits: str, fsync: str) -> str:
    """What a commit waits for, in words."""
    if fsync == "off":
        return "are acknowledged before they are on disk: the server has fsync=off"
    if waits == "off":
        return "are acknowledged before they are on disk: the server has synchronous_commit=off"
    return f"wait for the disk (synchronous_commit={waits})"


def _refuse_twice_named(append: Append) -> None:
    names = [stream.stream for stream in append.streams]
    if len(set(names)) < len(names):
        raise ConfigurationError(
            f"an append names a stream twice: {', '.join(names)}. "
            "Put a stream's events into one StreamAppend."
        )
