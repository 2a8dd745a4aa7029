"""The read store in an SQLite file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

import apsw

from diptych.adapters.sqlite.changes import Prepared, check_changes, native, write_changes
from diptych.adapters.sqlite.database import SqliteDatabase
from diptych.adapters.sqlite.finding import count_sql, find_sql
from diptych.adapters.sqlite.read_tables import (
    RESERVED,
    drop_tables,
    make_own_tables,
    make_row_table,
    make_store,
)
from diptych.adapters.sqlite.row_table import RowTable
from diptych.adapters.sqlite.statements import sql
from diptych.adapters.sqlite.url import Location, locate
from diptych.errors import ConfigurationError, StoreUnavailable
from diptych.queries.read_store import (
    Capability,
    Change,
    CheckpointInfo,
    Filter,
    Find,
    Loaded,
    Row,
    TableSpec,
)

__all__ = ["SqliteReadStore"]

_MANY_KEYS = 1000
"""More keys than this are loaded in a thread; these take about 2 ms."""


class SqliteReadStore:
    """A ReadStore in one file, alone or beside a log; it can do everything a read store can.

    >>> store = SqliteReadStore("sqlite:///shop.db")

    Each projection has a table of its name with its rows as JSON, an index per declared field, and a
    view `<name>_columns` for people. With ?synchronous=normal writing is faster, and the last
    changes may be lost when the machine dies; a projection notices by its checkpoint and catches up.
    """

    def __init__(self, url_or_path: str | os.PathLike[str]) -> None:
        self._location = locate(url_or_path)
        self._database: SqliteDatabase | None = None
        self._tables: dict[str, tuple[TableSpec, RowTable | None]] = {}

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Everything."""
        return frozenset(Capability)

    @property
    def volatile(self) -> bool:
        """False: rows are in a file."""
        return False

    async def open(self, tables: Sequence[TableSpec]) -> None:
        """Connect and make what is missing for these projections. Calling again adds the new.

        Indexes, full-text search and views follow a read model that has changed; rows do not.
        Raises SchemaTooNew, StoreUnavailable, and ConfigurationError for names that are taken.
        """
        described = [(spec, _described(spec)) for spec in tables]
        database = self._database or await SqliteDatabase.share(self._location)
        try:
            await database.write(partial(_make_tables, self._location.path, described))
        except BaseException:
            if self._database is None:
                await database.release()
            raise
        self._database = database
        self._tables |= {spec.name: (spec, table) for spec, table in described}

    async def close(self) -> None:
        """Finish what was accepted, then let go of everything. Calling again does nothing."""
        database, self._database = self._database, None
        if database is not None:
            await database.release()

    async def load(self, projection: str, keys: Sequence[str]) -> Loaded:
        """The rows of these keys, and the checkpoint of the same moment."""
        database, table = self._opened(), self._row_table(projection)
        read = database.reader.large if len(keys) > _MANY_KEYS else database.reader.small
        return _loaded(table, await read(table.load, table.load_parameters(keys)))

    async def apply(self, changes: Sequence[Change]) -> None:
        """Write the changes, all or none. Raises CheckpointMoved."""
        database = self._opened()
        if not changes:
            return
        prepared = self._prepared(changes)
        await database.write(
            partial(_write, prepared),
            partial(_check, prepared),
            sum(each.size for each in prepared),
        )

    async def find(self, projection: str, find: Find) -> list[Row]:
        """Rows by their fields or words; see Find."""
        database, table = self._opened(), self._row_table(projection)
        statement, parameters = find_sql(table, find)
        found = await database.reader.any_size(
            statement, lambda it: it.execute(statement, parameters).fetchall()
        )
        return table.decoded(found[0][0])

    async def count(self, projection: str, filters: tuple[Filter, ...] = ()) -> int:
        """How many rows meet the filters."""
        database, table = self._opened(), self._row_table(projection)
        statement, parameters = count_sql(table, filters)
        found = await database.reader.any_size(
            statement, lambda it: it.execute(statement, parameters).fetchall()
        )
        count: int = found[0][0]
        return count

    async def select(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
        """Run one reading SQL statement. Raises ConfigurationError when it would write."""
        values = native(parameters)
        return await self._opened().reader.any_size(sql, lambda it: _dicts(it, sql, values))

    async def checkpoint(self, projection: str) -> CheckpointInfo:
        """Where a projection stands."""
        database, _ = self._opened(), self._known(projection)
        found = await database.reader.small(sql("select_checkpoint"), (projection,))
        return CheckpointInfo._make(found[0]) if found else CheckpointInfo(0, "")

    async def reset(self, table: TableSpec) -> None:
        """Forget rows and checkpoint of a projection, and make its tables anew for `table`."""
        described = (table, _described(table))
        before = self._tables.get(table.name)
        await self._opened().write(
            partial(_remake_tables, self._location.path, before and before[0], described)
        )
        self._tables[table.name] = described

    def scratch(self) -> SqliteReadStore:
        """A new, empty store in a file of its own beside this one's, gone when it is closed."""
        return _ScratchStore(self._location.path)

    def within(self, handle: Any) -> SqliteInlineRows:
        """This store within the transaction of a SqliteEventLog (its `LogTransaction.handle`)."""
        database = self._opened()
        if handle is not database.connection:
            raise ConfigurationError(
                f"the read store in {self._location.path} can only take part in transactions of a "
                "log in the same file. Keep both in one file, or let the projection run async."
            )
        return SqliteInlineRows(self, database.connection)

    def _opened(self) -> SqliteDatabase:
        if self._database is None:
            raise StoreUnavailable(
                f"the read store in {self._location.path} is not open: call `await store.open(...)` "
                "first."
            )
        return self._database

    def _known(self, projection: str) -> tuple[TableSpec, RowTable | None]:
        try:
            return self._tables[projection]
        except KeyError:
            raise ConfigurationError(
                f"the read store in {self._location.path} was not opened for the projection "
                f"{projection!r}; it knows {', '.join(sorted(self._tables)) or 'none'}."
            ) from None

    def _row_table(self, projection: str) -> RowTable:
        table = self._known(projection)[1]
        if table is None:
            raise ConfigurationError(
                f"the projection {projection!r} keeps tables of its own and has no rows by key: "
                "read it with select."
            )
        return table

    def _prepared(self, changes: Sequence[Change]) -> list[Prepared]:
        prepared: list[Prepared] = []
        for change in changes:
            spec, table = self._known(change.projection)
            if table is None and (change.rows or change.deleted):
                self._row_table(change.projection)
            rows = table.encoded(change.rows) if table is not None else []
            prepared.append(Prepared(change, table, spec.fingerprint, rows))
        return prepared


class _ScratchStore(SqliteReadStore):
    """A store for comparing: nobody waits for the disk, and closing removes the file."""

    def __init__(self, beside: str) -> None:
        folder, name = os.path.split(beside)
        # Beside the original, where there is room for another one.
        self._folder = TemporaryDirectory(prefix=f"{name}-scratch-", dir=folder)
        super().__init__(os.path.join(self._folder.name, name))  # noqa: PTH118
        self._location = Location(self._location.path, synchronous="off")

    async def close(self) -> None:
        """Let go of the file and remove it."""
        await super().close()
        await asyncio.to_thread(self._folder.cleanup)


class SqliteInlineRows:
    """A SqliteReadStore within the transaction of a log in the same file."""

    __slots__ = ("_connection", "_store")

    def __init__(self, store: SqliteReadStore, connection: apsw.Connection) -> None:
        self._store = store
        self._connection = connection

    def load(self, projection: str, keys: Sequence[str]) -> Loaded:
        """As SqliteReadStore.load, seeing what this transaction wrote."""
        table = self._store._row_table(projection)
        rows = self._connection.execute(table.load, table.load_parameters(keys)).fetchall()
        return _loaded(table, rows)

    def apply(self, changes: Sequence[Change]) -> None:
        """As SqliteReadStore.apply, committed by the log."""
        prepared = self._store._prepared(changes)
        if prepared:
            check_changes(self._connection, prepared)
            write_changes(self._connection, prepared)


def _described(spec: TableSpec) -> RowTable | None:
    for name in (spec.name, *spec.tables):
        if name in RESERVED or name.startswith("sqlite_"):
            raise ConfigurationError(
                f"a projection cannot be called, or keep a table, {name!r}: the name is taken. "
                "Choose another one."
            )
    return None if spec.shape is None else RowTable(spec, spec.shape)


def _make_tables(
    path: str, described: Sequence[tuple[TableSpec, RowTable | None]], connection: apsw.Connection
) -> None:
    make_store(connection, path)
    for spec, table in described:
        if table is None:
            make_own_tables(connection, spec)
        else:
            make_row_table(connection, table)


def _remake_tables(
    path: str,
    before: TableSpec | None,
    described: tuple[TableSpec, RowTable | None],
    connection: apsw.Connection,
) -> None:
    if before is not None:
        drop_tables(connection, before)
    drop_tables(connection, described[0])
    _make_tables(path, [described], connection)


def _check(prepared: Sequence[Prepared], connection: apsw.Connection) -> None:
    check_changes(connection, prepared)


def _write(prepared: Sequence[Prepared], connection: apsw.Connection) -> None:
    write_changes(connection, prepared)


def _loaded(table: RowTable, rows: Sequence[Any]) -> Loaded:
    checkpoint, text = rows[0]
    return Loaded(checkpoint, {row.key: row for row in table.decoded(text)})


def _dicts(connection: apsw.Connection, sql: str, values: Sequence[Any]) -> list[dict[str, Any]]:
    cursor = connection.execute(sql, values)
    first = cursor.fetchone()
    if first is None:
        return []
    names = [column[0] for column in cursor.get_description()]
    return [dict(zip(names, row, strict=True)) for row in (first, *cursor.fetchall())]
