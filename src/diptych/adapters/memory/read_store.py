"""The read store in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from diptych.adapters.memory.rows import NO_SQL, Rows
from diptych.adapters.memory.standing import Standing
from diptych.adapters.memory.transaction import Undo
from diptych.errors import ConfigurationError, StoreUnavailable
from diptych.queries.fence import lease_lost
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
)
from diptych.queries.standings import generation_of, role_at_birth

__all__ = ["MemoryReadStore"]


class MemoryReadStore:
    """A ReadStore that can do everything but SQL, and forgets everything on `close`.

    >>> store = MemoryReadStore()
    """

    def __init__(self) -> None:
        self._projections: dict[str, Rows] = {}
        self._standings: dict[str, Standing] = {}
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
                self._standings[table.name] = Standing(self._role_at_birth(table.name))

    async def close(self) -> None:
        """Forget everything. Calling again does nothing."""
        self._open = False
        self._projections.clear()
        self._standings.clear()

    async def load(self, projection: str, keys: Sequence[str]) -> Loaded:
        """The rows of these keys, and the checkpoint."""
        return self._rows(projection).load(keys)

    async def apply(self, changes: Sequence[Change]) -> None:
        """Write the changes, all or none. Raises CheckpointMoved, LeaseLost."""
        for change in changes:
            if change.epoch is not None and self._open and change.projection not in self._standings:
                raise lease_lost(change.projection, change.epoch, 0)
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
        return self._checkpoint(projection)

    async def checkpoints(self, projections: Sequence[str]) -> dict[str, CheckpointInfo]:
        """Where several projections stand."""
        return {projection: self._checkpoint(projection) for projection in projections}

    async def reset(self, table: TableSpec, epoch: int | None = None) -> None:
        """Forget rows and checkpoint of a projection. Raises LeaseLost."""
        self._refuse_when_closed()
        if epoch is not None and table.name not in self._standings:
            raise lease_lost(table.name, epoch, 0)
        self._rows(table.name)
        self._standings[table.name].check_epoch(table.name, epoch)
        self._projections[table.name] = Rows(table)
        self._standings[table.name].reset()

    async def swap_leases(self, swaps: Sequence[LeaseSwap]) -> list[bool]:
        """Replace leases that are as expected."""
        return [self._swap(swap) for swap in swaps]

    async def parked(
        self, projection: str, keys: Sequence[str] | None = None, limit: int | None = None
    ) -> list[Parked]:
        """What is parked or skipped, by position and then key."""
        self._rows(projection)
        return self._standings[projection].parked(keys, limit)

    async def generations(self, projection: str) -> list[Generation]:
        """The generations of a projection, by number."""
        self._refuse_when_closed()
        found = [
            (number, Generation(name, self._standings[name].role, rows.checkpoint, rows.made_for))
            for name, rows in self._projections.items()
            if (number := generation_of(projection, name)) is not None
        ]
        return [generation for _, generation in sorted(found)]

    async def switch(
        self,
        before: Mapping[str, Role],
        after: Mapping[str, Role],
        epochs: Mapping[str, int] | None = None,
    ) -> bool:
        """Give generations new roles, if they have the roles (and epochs) expected."""
        self._refuse_when_closed()
        for name, epoch in (epochs or {}).items():
            if name not in self._standings or self._standings[name].lease.epoch != epoch:
                return False
        for name, role in before.items():
            if name not in self._standings or self._standings[name].role != role:
                return False
        if not all(name in self._standings for name in after):
            return False
        for name, role in after.items():
            self._standings[name].role = role
        return True

    async def drop(self, table: TableSpec, epoch: int | None = None) -> None:
        """Remove a generation with all that is kept beside it. Raises LeaseLost."""
        self._refuse_when_closed()
        if table.name in self._standings:
            self._standings[table.name].check_epoch(table.name, epoch)
        self._projections.pop(table.name, None)
        self._standings.pop(table.name, None)

    async def held_up_by(self) -> str:
        """Nothing: memory waits for nobody."""
        return ""

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
        return MemoryInlineRows(self._rows, self._standings, handle)

    def _role_at_birth(self, name: str) -> Role:
        # The first generation may have been dropped, while another one is served.
        others = [self._standings[one] for one in self._standings if generation_of(name, one)]
        return "building" if any(one.role == "served" for one in others) else role_at_birth(name)

    def _checkpoint(self, projection: str) -> CheckpointInfo:
        rows, standing = self._rows(projection), self._standings[projection]
        return _info(rows, standing)

    def _swap(self, swap: LeaseSwap) -> bool:
        self._rows(swap.projection)
        standing = self._standings[swap.projection]
        if standing.lease != swap.before:
            return False
        standing.lease = swap.after
        return True

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

    __slots__ = ("_rows", "_standings", "_undo")

    def __init__(
        self, rows: Callable[[str], Rows], standings: Mapping[str, Standing], undo: Undo
    ) -> None:
        self._rows = rows
        self._standings = standings
        self._undo = undo

    async def checkpoint(self, projection: str) -> CheckpointInfo:
        """As MemoryReadStore.checkpoint."""
        rows, standing = self._rows(projection), self._standings[projection]
        return _info(rows, standing)

    async def load(self, projection: str, keys: Sequence[str]) -> Loaded:
        """As MemoryReadStore.load."""
        return self._rows(projection).load(keys)

    async def parked(self, projection: str) -> list[Parked]:
        """As MemoryReadStore.parked."""
        self._rows(projection)
        return self._standings[projection].parked(None, None)

    async def apply(self, changes: Sequence[Change]) -> None:
        """As MemoryReadStore.apply, kept only if the append succeeds."""
        for change in changes:
            rows, standing = self._rows(change.projection), self._standings[change.projection]
            standing.check_epoch(change.projection, change.epoch)
            rows.apply(change, self._undo)
            standing.apply(change, self._undo)


def _info(rows: Rows, standing: Standing) -> CheckpointInfo:
    return CheckpointInfo(
        rows.checkpoint, rows.made_for, standing.lease, standing.parks, standing.role
    )
