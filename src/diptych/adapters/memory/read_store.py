"""The read store in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from diptych.adapters.memory.rows import NO_SQL, Rows
from diptych.adapters.memory.transaction import Undo
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

__all__ = ["MemoryReadStore"]


class MemoryReadStore:
    """A ReadStore that can do everything but SQL, and forgets everything on `close`.

    >>> store = MemoryReadStore()
    """

    def __init__(self) -> None:
        self._projections: dict[str, Rows] = {}
        self._open = False

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Everything but SQL and views."""
        return frozenset(Capability) - {Capability.SQL, Capability.VIEW}

    @property
    def volatile(self) -> bool:
        """True: everything is gone after `close`."""
        return True

    def describe(self) -> dict[str, str]:
        """Memory; nothing survives the process."""
        return {"adapter": "memory", "survives": "nothing"}

    async def open(self, tables: Sequence[TableSpec]) -> None:
        """Make room for these projections. Calling again adds the new."""
        self._open = True
        for table in tables:
            if table.view is not None:
                raise ConfigurationError(
                    f"{table.name} is a view, and memory has no tables to look at. Keep the write "
                    "model in an SQL database."
                )
        for table in tables:
            if table.name in self._projections:
                self._projections[table.name].describe(table)
            else:
                self._projections[table.name] = Rows(table)

    async def close(self) -> None:
        """Forget everything. Calling again does nothing."""
        self._open = False
        self._projections.clear()

    async def load(self, projection: str, keys: Sequence[str]) -> Loaded:
        """The rows of these keys, and the checkpoint."""
        return self._rows(projection).load(keys)

    async def apply(self, changes: Sequence[Change]) -> None:
        """Write the changes, all or none. Raises CheckpointMoved."""
        undo = Undo()
        try:
            await self.within(undo).apply(changes)
        except BaseException:
            undo.run()
            raise

    async def find(self, projection: str, find: Find) -> list[Row]:
        """Rows by their fields or words; see Find."""
        return self._rows(projection).find(find)

    async def count(self, projection: str, filters: tuple[Filter, ...] = ()) -> int:
        """How many rows meet the filters."""
        return self._rows(projection).count(filters)

    async def select(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
        """Raises ConfigurationError: memory has no SQL."""
        raise ConfigurationError(
            f"the memory store cannot run {sql[:80]!r}: it has no SQL. {NO_SQL}"
        )

    async def checkpoint(self, projection: str) -> CheckpointInfo:
        """Where a projection stands."""
        rows = self._rows(projection)
        return CheckpointInfo(rows.checkpoint, rows.made_for)

    async def reset(self, table: TableSpec) -> None:
        """Forget rows and checkpoint of a projection."""
        self._refuse_when_closed()
        self._projections[table.name] = Rows(table)

    async def refresh(self, view: str) -> int:
        """Raises ConfigurationError: memory has no views."""
        raise ConfigurationError(
            f"the memory store has no views, so {view!r} cannot be refreshed. Keep the write model "
            "in an SQL database."
        )

    def scratch(self) -> MemoryReadStore:
        """A new, empty store, not yet open."""
        return MemoryReadStore()

    def within(self, handle: Any) -> MemoryInlineRows:
        """This store within the transaction of a MemoryEventLog (its `LogTransaction.handle`)."""
        if not isinstance(handle, Undo):
            raise ConfigurationError(
                "the memory store can only join the transaction of a MemoryEventLog, not of "
                f"{type(handle).__name__}. Keep log and read models in the same database."
            )
        return MemoryInlineRows(self._rows, handle)

    def _rows(self, projection: str) -> Rows:
        self._refuse_when_closed()
        rows = self._projections.get(projection)
        if rows is None:
            raise ConfigurationError(
                f"the memory store was not opened for the projection {projection!r}; it knows "
                f"{', '.join(sorted(self._projections)) or 'none'}."
            )
        return rows

    def _refuse_when_closed(self) -> None:
        if not self._open:
            raise StoreUnavailable("the memory store is not open: call `await store.open([...])`.")


class MemoryInlineRows:
    """A MemoryReadStore whose writes are taken back when the append they belong to fails."""

    __slots__ = ("_rows", "_undo")

    def __init__(self, rows: Callable[[str], Rows], undo: Undo) -> None:
        self._rows = rows
        self._undo = undo

    async def checkpoint(self, projection: str) -> CheckpointInfo:
        """As MemoryReadStore.checkpoint."""
        rows = self._rows(projection)
        return CheckpointInfo(rows.checkpoint, rows.made_for)

    async def load(self, projection: str, keys: Sequence[str]) -> Loaded:
        """As MemoryReadStore.load."""
        return self._rows(projection).load(keys)

    async def apply(self, changes: Sequence[Change]) -> None:
        """As MemoryReadStore.apply, kept only if the append succeeds."""
        for change in changes:
            self._rows(change.projection).apply(change, self._undo)
