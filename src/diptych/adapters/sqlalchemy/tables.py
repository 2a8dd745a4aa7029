"""The port Tables over SQLAlchemy: sessions whose transactions write rows and append events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from diptych.adapters.sqlalchemy.driver import handle_of
from diptych.adapters.sqlalchemy.engine import check_url, engine_for
from diptych.adapters.sqlalchemy.errors import RIVAL_STATES, notice_failure, translating
from diptych.adapters.sqlalchemy.last_statement import LastStatement, flush_all
from diptych.adapters.sqlalchemy.leaving import leave
from diptych.adapters.sqlalchemy.table_of import TableOf
from diptych.errors import (
    ConfigurationError,
    ConflictError,
    OutcomeUnknown,
    StoreError,
    StoreUnavailable,
)
from diptych.events.log import Append, Appended, EventLog

__all__ = ["SqlTables", "SqlTransaction"]


class SqlTransaction:
    """One session and its transaction; see TableTransaction."""

    def __init__(
        self, session: AsyncSession, tables: dict[Any, TableOf[Any]], log: EventLog
    ) -> None:
        self.handle = session
        self._tables = tables
        self._log = log
        self._last: LastStatement | None = None
        self._command_id: str | None = None

    @property
    def used(self) -> bool:
        """Whether anything was read or written in it, or waits to be written."""
        session = self.handle
        return session.in_transaction() or bool(session.new or session.dirty or session.deleted)

    @property
    def has_appended(self) -> bool:
        """Whether it has come to its last statement."""
        return self._last is not None

    async def load(self, kind: Any, key: object) -> tuple[Any, int] | None:
        """The state in the tables and its version, locked until the end."""
        return await self._tables[kind].load_locked(self.handle, key)

    async def save(
        self,
        kind: Any,
        key: object,
        state: Any,
        events: Sequence[Any],
        versions: tuple[int | None, int],
    ) -> None:
        """Write a state of the second version over that of the first (None: a new row)."""
        await self._tables[kind].save_stamped(self.handle, key, state, events, versions)

    async def genesis(self, kind: Any, key: object) -> tuple[Any, ...]:
        """Events that tell how the row came to be what it is."""
        table = self._tables[kind]
        return tuple(await table.genesis(self.handle, table.as_column(key)))

    async def append(self, append: Append) -> Appended:
        """Append to the log, after everything that waits to be written."""
        session = self.handle
        if self._last is None:
            await session.run_sync(flush_all)
        handle = await session.run_sync(handle_of)
        try:
            done = await self._log.append_within(handle, append)
        except StoreError as error:
            if getattr(error.__cause__, "sqlstate", None) in RIVAL_STATES:
                raise ConflictError(error.message) from error
            raise
        if append.command is not None:
            self._command_id = append.command.command_id
        if self._last is None:
            self._last = LastStatement()
            await session.run_sync(self._last.close)
        return done

    async def commit(self) -> None:
        """Make it all durable. Raises OutcomeUnknown, naming the command that was recorded."""
        try:
            with translating(committing=True):
                await self.handle.commit()
        except OutcomeUnknown as error:
            error.facts["command_id"] = self._command_id
            raise

    def end(self) -> None:
        """The transaction is over, one way or the other."""
        if self._last is not None:
            self._last.reopen()


class SqlTables:
    """Tables in the log's database; the port's guarantees hold on SQLite and PostgreSQL.

    What a transaction loads is locked until its end: on PostgreSQL by row, on SQLite by file.
    """

    handle_type = AsyncSession

    def __init__(self, url: str, tables: Iterable[Any], log: EventLog) -> None:
        check_url(url)
        self._url = url
        self._log = log
        self._tables: dict[Any, TableOf[Any]] = {}
        self._guarded = False
        self._engine: AsyncEngine | None = None
        self._sessions: async_sessionmaker[AsyncSession]
        for given in tables:
            self._add(given)

    @property
    def kinds(self) -> Collection[Any]:
        """The aggregates and deciders that are kept in tables."""
        return self._tables.keys()

    def guard(self, log: EventLog) -> None:
        """Append to this log from now on, in every transaction, also where nothing is recorded."""
        self._log, self._guarded = log, True

    async def open(self) -> None:
        """Make ready to connect. Calling again does nothing."""
        if self._engine is None:
            self._engine = engine_for(self._url)
            self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)

    def begin(self) -> AbstractAsyncContextManager[SqlTransaction]:
        """A transaction: committed when it is left, rolled back when it is left by an error."""
        return self._begin()

    async def keys(self, kind: Any, after: object | None, limit: int) -> list[Any]:
        """Keys of rows, ascending, from the one after `after`."""
        column = self._tables[kind].key_column
        wanted = select(column).order_by(column).limit(limit)
        if after is not None:
            wanted = wanted.where(column > after)
        with translating():
            async with self._opened()() as session:
                return list(await session.scalars(wanted))

    async def close(self) -> None:
        """Let go of everything. Calling again does nothing."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.dispose()

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[SqlTransaction]:
        session = self._opened()()
        transaction = SqlTransaction(session, self._tables, self._log)
        try:
            with translating():
                yield transaction
                if self._guarded and transaction.used and not transaction.has_appended:
                    await transaction.append(Append())
                await session.run_sync(flush_all)
                if transaction.used and not transaction.has_appended:
                    await notice_failure(session)
            await transaction.commit()
        finally:
            transaction.end()
            await leave(session)

    def _opened(self) -> async_sessionmaker[AsyncSession]:
        if self._engine is None:
            raise StoreUnavailable("the tables are not open: call `await app.open()` first.")
        return self._sessions

    def _add(self, given: Any) -> None:
        table = given() if isinstance(given, type) and issubclass(given, TableOf) else given
        if not isinstance(table, TableOf):
            raise ConfigurationError(
                f"{given!r} is no table of a write model: class OrderTable(TableOf[Order]), or "
                "mapped(Order, orders)."
            )
        other = self._tables.setdefault(table.of, table)
        if other is not table:
            raise ConfigurationError(
                f"{table.of!r} is kept in two tables: {other.root.name} and {table.root.name}."
            )
