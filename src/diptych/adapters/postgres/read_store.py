"""The read store in a schema of a PostgreSQL database."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import asyncpg
import msgspec

from diptych.adapters.postgres.changes import (
    fits_one_statement,
    raise_unless_fit,
    write_changes,
    write_fenced,
)
from diptych.adapters.postgres.database import PostgresDatabase
from diptych.adapters.postgres.errors import is_lost, unknown
from diptych.adapters.postgres.finding import count_sql, find_sql, has_long_words
from diptych.adapters.postgres.growth import Growth
from diptych.adapters.postgres.inline_rows import PostgresInlineRows, check_own_transaction
from diptych.adapters.postgres.own_sql import select
from diptych.adapters.postgres.projections import Prepared, Projections, described, gone
from diptych.adapters.postgres.read_standings import PostgresStandings
from diptych.adapters.postgres.read_tables import (
    drop_tables,
    look_at_tables,
    make_store,
    make_tables,
    reset_tables,
)
from diptych.adapters.postgres.row_shape import OTHER_COLUMNS, columns_in, unfit_because
from diptych.adapters.postgres.row_table import RowTable
from diptych.adapters.postgres.schema_turn import schema_turn
from diptych.adapters.postgres.statements import quoted
from diptych.adapters.postgres.url import Location, locate
from diptych.adapters.postgres.views import ViewTable, refresh_view
from diptych.errors import ConfigurationError, StoreError, StoreUnavailable
from diptych.queries.matching import check_fields, matches
from diptych.queries.read_store import (
    Capability,
    Change,
    Filter,
    Find,
    Loaded,
    Row,
    TableSpec,
)

__all__ = ["PostgresReadStore"]

Fetch = Callable[..., Awaitable[list[Any]]]


class PostgresReadStore(PostgresStandings):
    """A ReadStore in one schema, alone or beside a log; it can do everything a read store can.

    >>> store = PostgresReadStore("postgresql://localhost/shop?schema=shop")

    Each projection has a table of its name with one typed column per field, which everybody may
    read with SQL; an index per declared field; and the words of its search fields.
    """

    def __init__(self, url: str) -> None:
        self._location = locate(url)
        self._database: PostgresDatabase | None = None
        self._identity = ""
        self._schema = self._location.schema
        self._projections = Projections(self._schema, self._location.place)
        self._growth = Growth()

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Everything."""
        return frozenset(Capability)

    @property
    def volatile(self) -> bool:
        """False: rows are in a database."""
        return False

    def describe(self) -> dict[str, str]:
        """The database and the schema."""
        return self._location.describe()

    async def open(self, tables: Sequence[TableSpec]) -> None:
        """Connect and make what is missing for these projections. Calling again adds the new.

        Columns, indexes and words follow a read model that has changed, where rows can be kept. A
        streaming replica is only looked at: what its primary made arrives by itself.

        Raises SchemaTooNew, StoreUnavailable, and ConfigurationError for names that are taken.
        """
        projections = [described(self._schema, spec) for spec in tables]
        if self._database is not None and self._database.loop.is_closed():
            await self.close()
        database = self._database or await PostgresDatabase.share(self._location)
        try:
            async with (
                database.writing() as connection,
                schema_turn(connection, self._schema),
            ):
                if await connection.fetchval("SELECT pg_is_in_recovery()"):
                    self._identity = await look_at_tables(connection, self._schema, projections)
                else:
                    self._identity = await make_store(connection, self._schema)
                    await make_tables(connection, self._schema, projections)
        except BaseException:
            if self._database is None:
                await database.release()
            raise
        self._database = database
        for known in projections:
            self._projections.add(known)

    async def close(self) -> None:
        """Let go of the connections. Calling again does nothing."""
        database, self._database = self._database, None
        if database is not None:
            await database.release()

    async def load(self, projection: str, keys: Sequence[str]) -> Loaded:
        """The rows of these keys, and the checkpoint of the same moment."""
        fetch, table = await self._reading(projection)
        return table.loaded(await fetch(table.load, table.possible(keys)))

    async def apply(self, changes: Sequence[Change]) -> None:
        """Write the changes, all or none. Raises CheckpointMoved and LeaseLost."""
        database = self._opened()
        for change in changes:
            if self._projections.known(change.projection).table is not None:
                await self._row_table(change.projection)
        prepared = self._projections.prepare(changes)
        if not prepared:
            return
        if fits_one_statement(prepared):
            await self._write_at_once(database, prepared[0])
        else:
            async with database.transaction() as connection:
                await write_changes(connection, self._schema, prepared)
        for change, table, _, _ in prepared:
            if table is not None and self._growth.is_due(table.name, len(change.rows)):
                await _analyse(database, table)

    async def find(self, projection: str, find: Find) -> list[Row]:
        """Rows by their fields or words; see Find."""
        fetch, table = await self._finding(projection)
        in_python = has_long_words(find)
        if table.computed and find.search is not None:
            # There is no column of words to look into: every row that meets the filters is read.
            check_fields(table.shape, find)
            in_python, wider = True, find._replace(limit=None, search=None)
        else:
            wider = find._replace(limit=None) if in_python else find
        statement, parameters = find_sql(table, wider)
        rows = table.decoded(await fetch(statement, *parameters))
        if not in_python:
            return rows
        meant = Find(search=find.search)
        found = [row for row in rows if matches(row.value, meant, table.shape)]
        return found if find.limit is None else found[: max(find.limit, 0)]

    async def count(self, projection: str, filters: tuple[Filter, ...] = ()) -> int:
        """How many rows meet the filters."""
        fetch, table = await self._finding(projection)
        statement, parameters = count_sql(table, filters)
        count: int = (await fetch(statement, *parameters))[0][0]
        return count

    async def select(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
        """Run one reading SQL statement, with `?` or `$1` for its parameters.

        Raises ConfigurationError when it would write.
        """
        async with self._opened().reading() as connection:
            # Rolled back, so that no statement leaves a changed setting behind.
            await connection.execute("BEGIN READ ONLY")
            rows = await select(connection, sql, parameters)
            await connection.execute("ROLLBACK")
        return rows

    async def reset(self, table: TableSpec, epoch: int | None = None) -> None:
        """Forget rows, checkpoint and what is parked, and make its tables anew for `table`.

        Raises LeaseLost.
        """
        now = described(self._schema, table)
        before = self._projections.known(table.name)
        patience_s = self._location.timeout_s
        async with self._opened().writing() as connection, schema_turn(connection, self._schema):
            await reset_tables(
                connection, self._schema, before, now, epoch=epoch, patience_s=patience_s
            )
        self._growth.forget(table.name)
        self._projections.add(now)

    async def drop(self, table: TableSpec, epoch: int | None = None) -> None:
        """Remove the rows of a generation with all that is kept beside them.

        Raises LeaseLost, and StoreError when something of somebody else's depends on them.
        """
        known = described(self._schema, table)
        patience_s = self._location.timeout_s
        async with self._opened().writing() as connection, schema_turn(connection, self._schema):
            await drop_tables(connection, self._schema, known, epoch=epoch, patience_s=patience_s)
        self._growth.forget(table.name)
        self._projections.forget(table.name)

    async def refresh(self, view: str) -> int:
        """Compute a materialized view anew, while others read it (REFRESH ... CONCURRENTLY).

        Raises ConfigurationError for what is no view.
        """
        table = self._projections.known(view).table
        if not isinstance(table, ViewTable):
            raise ConfigurationError(f"{view} is no view: a projection is moved by its runner.")
        if table.view.kept != "materialized":
            return (await self.checkpoint(view)).position
        async with self._opened().transaction() as connection:
            return await refresh_view(connection, table)

    async def is_copy(self) -> bool:
        """Whether it is on a streaming replica, which follows its primary."""
        found: bool = (await self._opened().select("SELECT pg_is_in_recovery()"))[0][0]
        return found

    def scratch(self) -> PostgresReadStore:
        """A new, empty store in a schema of its own, which is dropped when it is closed."""
        return _ScratchStore(self._location)

    def within(self, handle: Any) -> PostgresInlineRows:
        """This store within the transaction of a PostgresEventLog (its `LogTransaction.handle`)."""
        self._opened()
        check_own_transaction(handle, self._location.place)
        return PostgresInlineRows(self._projections, self._schema, self._identity, handle)

    async def _write_at_once(self, database: PostgresDatabase, prepared: Prepared) -> None:
        try:
            async with database.writing() as connection:
                while not await write_fenced(connection, prepared):
                    await raise_unless_fit(connection, self._schema, prepared.change)
        except StoreUnavailable as error:
            if error.__cause__ is not None and is_lost(error.__cause__):
                raise unknown(error.__cause__, self._location.place, None) from error
            raise

    async def _reading(self, projection: str) -> tuple[Fetch, RowTable]:
        """How to read the rows of a projection: by key only, or by any plan where it is a view."""
        database, table = self._opened(), await self._row_table(projection)
        by_key = partial(self._fetch, database.fetch, table)
        return (database.select if table.computed else by_key), table

    async def _finding(self, projection: str) -> tuple[Fetch, RowTable]:
        """As `_reading`, for what may have to look at every row."""
        database, table = self._opened(), await self._row_table(projection)
        by_index = partial(self._fetch, database.find, table)
        return (database.select if table.computed else by_index), table

    async def _fetch(
        self, fetch: Fetch, table: RowTable, statement: str, *parameters: Any
    ) -> list[Any]:
        try:
            return await fetch(statement, *parameters)
        except StoreError as error:
            if isinstance(error.__cause__, asyncpg.UndefinedTableError):
                raise gone(table.name, table.schema) from error
            if isinstance(error.__cause__, OTHER_COLUMNS):
                await self._check_shape(table)
            raise

    async def _row_table(self, projection: str) -> RowTable:
        """The table of a projection, with rows that fit. Raises StoreError if they do not."""
        table = self._projections.row_table(projection)
        if table.unfit is not None:  # or has somebody made its rows anew meanwhile?
            await self._check_shape(table)
        return table

    async def _check_shape(self, table: RowTable) -> None:
        async with self._opened().reading() as connection:
            table.unfit = unfit_because(await columns_in(connection, table), table)
        if table.unfit is not None:
            raise table.misfit(table.unfit)

    def _opened(self) -> PostgresDatabase:
        if self._database is None:
            raise StoreUnavailable(
                f"the read store in {self._location.place} is not open: call `await "
                "store.open(...)` first."
            )
        return self._database


async def _analyse(database: PostgresDatabase, table: RowTable) -> None:
    with contextlib.suppress(StoreError):  # what was to be written is; plans are only slower
        async with database.writing() as connection:
            await connection.execute(f"ANALYZE {table.qualified}")


class _ScratchStore(PostgresReadStore):
    """A store for comparing, which leaves nothing behind when it is closed."""

    def __init__(self, location: Location) -> None:
        start = location.schema.encode()[:40].decode(errors="ignore")
        self._location = msgspec.structs.replace(
            location, schema=f"{start}_scratch_{secrets.token_hex(5)}"
        )
        self._database = None
        self._identity = ""
        self._schema = self._location.schema
        self._projections = Projections(self._schema, self._location.place)
        self._growth = Growth()

    async def close(self) -> None:
        """Drop the schema."""
        if self._database is not None:
            async with self._database.writing() as connection:
                await connection.execute(f"DROP SCHEMA IF EXISTS {quoted(self._schema)} CASCADE")
        await super().close()
