"""Rows that commit together with events: the read store within the log's transaction."""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from diptych.adapters.sqlite.changes import check_changes, write_changes
from diptych.adapters.sqlite.parking import entries, parked_sql
from diptych.adapters.sqlite.projections import Projections
from diptych.adapters.sqlite.standing import info
from diptych.adapters.sqlite.statements import all_rows, sql
from diptych.queries.parked import Parked
from diptych.queries.read_store import Change, CheckpointInfo, Loaded

__all__ = ["SqliteInlineRows"]


class SqliteInlineRows:
    """A SqliteReadStore within the transaction of a log in the same file."""

    __slots__ = ("_connection", "_projections")

    def __init__(self, projections: Projections, connection: apsw.Connection) -> None:
        self._projections = projections
        self._connection = connection

    async def checkpoint(self, projection: str) -> CheckpointInfo:
        """As SqliteReadStore.checkpoint."""
        self._projections.known(projection)
        found = all_rows(self._connection, sql("select_checkpoint"), (projection,))
        return info(found[0]) if found else CheckpointInfo(0, "")

    async def load(self, projection: str, keys: Sequence[str]) -> Loaded:
        """As SqliteReadStore.load, seeing what this transaction wrote."""
        table = self._projections.row_table(projection)
        return table.loaded(all_rows(self._connection, table.load, table.load_parameters(keys)))

    async def parked(self, projection: str) -> list[Parked]:
        """As SqliteReadStore.parked."""
        self._projections.known(projection)
        return entries(all_rows(self._connection, *parked_sql(projection, None, None)))

    async def apply(self, changes: Sequence[Change]) -> None:
        """As SqliteReadStore.apply, committed by the log."""
        prepared = self._projections.prepare(changes)
        if prepared:
            check_changes(self._connection, prepared)
            write_changes(self._connection, prepared)
