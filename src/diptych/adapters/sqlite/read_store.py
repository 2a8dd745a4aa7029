"""The read store in an SQLite file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from tempfile import TemporaryDirectory
from typing import Any

import apsw
import msgspec

from diptych.adapters.sqlite.changes import check_changes, native, write_changes
from diptych.adapters.sqlite.database import SqliteDatabase
from diptych.adapters.sqlite.finding import count_sql, find_sql
from diptych.adapters.sqlite.inline_rows import SqliteInlineRows
from diptych.adapters.sqlite.parking import entries, parked_sql
from diptych.adapters.sqlite.projections import Known, Projections, described
from diptych.adapters.sqlite.read_tables import (
    drop_tables,
    make_own_tables,
    make_row_table,
    make_store,
)
from diptych.adapters.sqlite.row_table import RowTable
from diptych.adapters.sqlite.standing import (
    begin_again,
    epoch_of,
    forget,
    give_standing,
    info,
    ordered_generations,
    swap_leases,
    switch_roles,
)
from diptych.adapters.sqlite.statements import all_rows, sql
from diptych.adapters.sqlite.transaction import check_own_transaction
from diptych.adapters.sqlite.url import Location, locate
from diptych.adapters.sqlite.views import drop_view, make_view, refresh_view
from diptych.errors import ConfigurationError, StoreUnavailable
from diptych.queries.fence import check_epoch
from diptych.queries.matching import check_fields, matches
from diptych.queries.read_store import (
    Capability,
    Change,
    CheckpointInfo,
    Filter,
    Find,
    Generation,
    LeaseSwap,
    Loaded,
    Parked,
    Role,
    Row,
    TableSpec,
    ViewSpec,
)

__all__ = ["SqliteReadStore"]

_HELD_UP_S = 1.0
_MANY_KEYS = 1000
"""More keys than this are loaded in a thread; these take about 2 ms."""


class SqliteReadStore:
    """A ReadStore in one file, alone or beside a log; it can do everything a read store can.

    >>> store = SqliteReadStore("sqlite:///shop.db")

    Each projection has a table of its name with its rows as JSON, an index per declared field, and
    a view `<name>_columns` for people. With ?synchronous=normal writing is faster, and the last
    changes may be lost when the machine dies; the checkpoint is lost with them, so a projection
    catches up by itself.
    """

    def __init__(self, url_or_path: str | os.PathLike[str]) -> None:
        self._location = locate(url_or_path)
        self._database: SqliteDatabase | None = None
        self._projections = Projections(self._location.path)

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Everything."""
        return frozenset(Capability)

    @property
    def volatile(self) -> bool:
        """False: rows are in a file."""
        return False

    def describe(self) -> dict[str, str]:
        """SQLite's version, the file, and what a commit waits for."""
        return self._location.describe()

    async def open(self, tables: Sequence[TableSpec]) -> None:
        """Connect and make what is missing for these projections. Calling again adds the new.

        Indexes, full-text search and views follow a read model that has changed; rows do not.
        Raises SchemaTooNew, StoreUnavailable, and ConfigurationError for names that are taken.
        """
        projections = [described(spec) for spec in tables]
        if self._database is not None and self._database.loop.is_closed():
            await self.close()
        database = self._database or await SqliteDatabase.share(self._location)
        try:
            await database.write(partial(_make_tables, self._location.path, projections))
        except BaseException:
            if self._database is None:
                await database.release()
            raise
        self._database = database
        for known in projections:
            self._projections.add(known)

    async def close(self) -> None:
        """Finish what was accepted, then let go of everything. Calling again does nothing."""
        database, self._database = self._database, None
        if database is not None:
            await database.release()

    async def load(self, projection: str, keys: Sequence[str]) -> Loaded:
        """The rows of these keys, and the checkpoint of the same moment."""
        database, table = self._opened(), self._projections.row_table(projection)
        read = database.reader.large if len(keys) > _MANY_KEYS else database.reader.small
        return table.loaded(await read(table.load, table.load_parameters(keys)))

    async def apply(self, changes: Sequence[Change]) -> None:
        """Write the changes, all or none. Raises CheckpointMoved, LeaseLost."""
        database = self._opened()
        if not changes:
            return
        prepared = self._projections.prepare(changes)
        await database.write(
            lambda connection: write_changes(connection, prepared),
            lambda connection: check_changes(connection, prepared),
            sum(each.size for each in prepared),
        )

    async def find(self, projection: str, find: Find) -> list[Row]:
        """Rows by their fields or words; see Find."""
        database, (spec, _) = self._opened(), self._projections.known(projection)
        table = self._projections.row_table(projection)
        if find.search is not None and spec.view is not None and spec.view.kept != "materialized":
            return await self._look_for_words(table, find)
        statement, parameters = find_sql(table, find)
        found = await database.reader.any_size(
            statement, lambda it: all_rows(it, statement, parameters)
        )
        return table.decoded(found[0][0])

    async def count(self, projection: str, filters: tuple[Filter, ...] = ()) -> int:
        """How many rows meet the filters."""
        database, table = self._opened(), self._projections.row_table(projection)
        statement, parameters = count_sql(table, filters)
        found = await database.reader.any_size(
            statement, lambda it: all_rows(it, statement, parameters)
        )
        count: int = found[0][0]
        return count

    async def select(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
        """Run one reading SQL statement. Raises ConfigurationError when it would write."""
        values = native(parameters)
        return await self._opened().reader.any_size(sql, lambda it: _dicts(it, sql, values))

    async def checkpoint(self, projection: str) -> CheckpointInfo:
        """Where a projection stands."""
        database, known = self._opened(), self._projections.known(projection)
        if _shows_the_log(known.spec):
            head = (await database.reader.small(sql("select_head"), ()))[0][0]
            return CheckpointInfo(head, known.spec.fingerprint)
        found = await database.reader.small(sql("select_checkpoint"), (projection,))
        return info(found[0]) if found else CheckpointInfo(0, "")

    async def checkpoints(self, projections: Sequence[str]) -> dict[str, CheckpointInfo]:
        """Where several projections stand, read in one go."""
        database = self._opened()
        found = {name: CheckpointInfo(0, "") for name in projections}
        views = [name for name in found if _shows_the_log(self._projections.known(name).spec)]
        names = msgspec.json.encode(list(found)).decode()
        rows = await database.reader.small(sql("select_standings"), (names,))
        found.update((name, info(row)) for name, *row in rows)
        for name in views:
            found[name] = await self.checkpoint(name)
        return found

    async def swap_leases(self, swaps: Sequence[LeaseSwap]) -> list[bool]:
        """Replace leases; True for each that was as expected."""
        database = self._opened()
        for swap in swaps:
            self._projections.known(swap.projection)
        return await database.write(partial(swap_leases, tuple(swaps)), size=len(swaps))

    async def parked(
        self, projection: str, keys: Sequence[str] | None = None, limit: int | None = None
    ) -> list[Parked]:
        """What is parked or skipped, by position and then key; of some keys only, if given."""
        database, _ = self._opened(), self._projections.known(projection)
        statement, parameters = parked_sql(projection, keys, limit)
        found = await database.reader.any_size(
            statement, lambda it: all_rows(it, statement, parameters)
        )
        return entries(found)

    async def generations(self, projection: str) -> list[Generation]:
        """The generations that are in the file, by number, whoever opened them."""
        read = self._opened().reader.small
        return ordered_generations(projection, await read(sql("select_generations"), (projection,)))

    async def switch(
        self,
        before: Mapping[str, Role],
        after: Mapping[str, Role],
        epochs: Mapping[str, int] | None = None,
    ) -> bool:
        """Give generations the roles `after`, if they have the roles `before` and those epochs."""
        switch = partial(switch_roles, dict(before), dict(after), dict(epochs or {}))
        return await self._opened().write(switch, size=len(after))

    async def drop(self, table: TableSpec, epoch: int | None = None) -> None:
        """Remove a generation's rows with all that is kept beside them. Not there: nothing.

        The file's writer is busy for as long as that takes. Raises LeaseLost, and
        ConfigurationError for a name that is taken.
        """
        described(table)
        await self._opened().write(partial(_drop, table, epoch))
        self._projections.forget(table.name)

    async def held_up_by(self) -> str:
        """That somebody else has held the file's lock for a second or more while a write waits.

        SQLite does not tell who it is.
        """
        seconds = self._opened().writer.waits_s
        if seconds < _HELD_UP_S:
            return ""
        return (
            f"another process has held the write lock of {self._location.path} for {seconds:.0f} s "
            "(a shell with an open transaction, a backup)"
        )

    async def reset(self, table: TableSpec, epoch: int | None = None) -> None:
        """Forget rows, checkpoint and what is parked, and make its tables anew for `table`.

        Raises LeaseLost.
        """
        now = described(table)
        before = self._projections.known(table.name).spec
        remake = partial(_remake_tables, self._location.path, before, now, epoch)
        await self._opened().write(remake)
        self._projections.add(now)

    async def refresh(self, view: str) -> int:
        """Compute a materialized view anew in one transaction; readers see the old rows or the new.

        The file's writer is busy for as long as the SELECT takes. Raises ConfigurationError for
        what is no view.
        """
        spec, _ = self._projections.known(view)
        if spec.view is None:
            raise ConfigurationError(f"{view} is no view: a projection is moved by its runner.")
        if spec.view.kept != "materialized":
            return (await self.checkpoint(view)).position
        return await self._opened().write(partial(refresh_view, spec=spec, view=spec.view))

    def scratch(self) -> SqliteReadStore:
        """A new, empty store in a file of its own beside this one's, gone when it is closed."""
        return _ScratchStore(self._location.path)

    def within(self, handle: Any) -> SqliteInlineRows:
        """This store within the transaction of a SqliteEventLog (its `LogTransaction.handle`)."""
        self._opened()
        check_own_transaction(handle, self._location.path)
        return SqliteInlineRows(self._projections, handle)

    async def _look_for_words(self, table: RowTable, find: Find) -> list[Row]:
        # No index can be made on a view: every row that meets the filters is looked at.
        check_fields(table.shape, find)
        rows = await self.find(table.name, find._replace(search=None, limit=None))
        found = (row for row in rows if matches(row.value, find, table.shape))
        return list(islice(found, find.limit))

    def _opened(self) -> SqliteDatabase:
        if self._database is None:
            raise StoreUnavailable(
                f"the read store in {self._location.path} is not open: call `await store.open(...)`"
                " first."
            )
        return self._database


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


def _make_tables(path: str, projections: Sequence[Known], connection: apsw.Connection) -> None:
    make_store(connection, path)
    give_standing(connection, [spec.name for spec, _ in projections])
    for spec, table in projections:
        if table is None:
            make_own_tables(connection, spec)
            continue
        if spec.view is None or spec.view.kept != "view":
            drop_view(connection, spec.name)
        if spec.view is None or spec.view.kept == "materialized":
            make_row_table(connection, table)
        if spec.view is not None:
            _look_at(connection, spec, spec.view)


def _look_at(connection: apsw.Connection, spec: TableSpec, view: ViewSpec) -> None:
    make_view(connection, spec, view)
    if view.kept == "materialized":
        standing = all_rows(connection, sql("select_checkpoint"), (spec.name,))
        if not standing or standing[0][1] != spec.fingerprint:  # never filled, or by other SQL
            refresh_view(connection, spec, view)


def _remake_tables(
    path: str, before: TableSpec, now: Known, epoch: int | None, connection: apsw.Connection
) -> None:
    check_epoch(before.name, epoch, epoch_of(connection, before.name))
    for spec in (before, now.spec):
        drop_view(connection, spec.name)
        drop_tables(connection, spec)
    begin_again(connection, before.name)
    _make_tables(path, [now], connection)


def _drop(spec: TableSpec, epoch: int | None, connection: apsw.Connection) -> None:
    actual = epoch_of(connection, spec.name)
    if actual is not None:
        check_epoch(spec.name, epoch, actual)
    drop_view(connection, spec.name)
    drop_tables(connection, spec)
    forget(connection, spec.name)


def _shows_the_log(spec: TableSpec) -> bool:
    """Whether it is a view that is never behind, so that nothing moves it."""
    return spec.view is not None and spec.view.kept != "materialized"


def _dicts(connection: apsw.Connection, sql: str, values: Sequence[Any]) -> list[dict[str, Any]]:
    cursor = connection.execute(sql, values)
    first = cursor.fetchone()
    if first is None:
        return []
    names = [column[0] for column in cursor.get_description()]
    return [dict(zip(names, row, strict=True)) for row in (first, *cursor.fetchall())]
