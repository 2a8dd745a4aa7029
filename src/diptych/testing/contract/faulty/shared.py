"""What stands in front of a right log or store, and lets everything through."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

import msgspec

from diptych.errors import StoreUnavailable
from diptych.events.delegating import DelegatingLog
from diptych.events.log import Append, EventLog
from diptych.queries.read_store import (
    Capability,
    Change,
    CheckpointInfo,
    Filter,
    Find,
    Generation,
    InlineRows,
    LeaseSwap,
    Loaded,
    Parked,
    ReadStore,
    Role,
    Row,
    TableSpec,
)

__all__ = ["SharedLog", "SharedStore", "changed"]


class SharedLog(DelegatingLog):
    """No fault at all: another log, which closing this one does not close.

    Several of these share one log in memory as processes share a database; it shows that what the
    suite finds in the others is their own doing.
    """

    breaks: ClassVar[tuple[str, ...]] = ()

    def __init__(self, inner: EventLog) -> None:
        super().__init__(inner)
        self._waiting: set[asyncio.Task[int]] = set()

    def again(self) -> EventLog:
        """The same data in a new object."""
        return type(self)(self.inner)

    @property
    def volatile(self) -> bool:
        """False: the log behind outlives this one."""
        return False

    async def wait(self, after: int) -> int:
        """See EventLog."""
        waiting = asyncio.ensure_future(self.inner.wait(after))
        self._waiting.add(waiting)
        try:
            await asyncio.wait([waiting])
            if waiting.cancelled():
                raise StoreUnavailable("the log was closed")
            return waiting.result()
        finally:
            waiting.cancel()
            self._waiting.discard(waiting)

    async def close(self) -> None:
        """End who waits here; the log behind stays open for others."""
        for waiting in self._waiting:
            waiting.cancel()


class SharedStore:
    """No fault at all: another store, which closing this one does not close.

    Several of these share one store in memory as processes share a database; it shows that what the
    suite finds in the others is their own doing.
    """

    breaks: ClassVar[tuple[str, ...]] = ()
    volatile = False

    def __init__(self, inner: ReadStore) -> None:
        self.inner = inner

    def again(self) -> ReadStore:
        """The same data in a new object."""
        return type(self)(self.inner)

    @property
    def capabilities(self) -> frozenset[Capability]:
        """As the store's behind it, like everything that follows."""
        return self.inner.capabilities

    def describe(self) -> dict[str, str]:
        """See ReadStore."""
        return self.inner.describe()

    async def open(self, tables: Sequence[TableSpec]) -> None:
        """See ReadStore."""
        await self.inner.open(tables)

    async def load(self, projection: str, keys: Sequence[str]) -> Loaded:
        """See ReadStore."""
        return await self.inner.load(projection, keys)

    async def apply(self, changes: Sequence[Change]) -> None:
        """See ReadStore."""
        await self.inner.apply(changes)

    async def find(self, projection: str, find: Find) -> list[Row]:
        """See ReadStore."""
        return await self.inner.find(projection, find)

    async def count(self, projection: str, filters: tuple[Filter, ...] = ()) -> int:
        """See ReadStore."""
        return await self.inner.count(projection, filters)

    async def select(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
        """See ReadStore."""
        return await self.inner.select(sql, parameters)

    async def checkpoint(self, projection: str) -> CheckpointInfo:
        """See ReadStore."""
        return await self.inner.checkpoint(projection)

    async def checkpoints(self, projections: Sequence[str]) -> dict[str, CheckpointInfo]:
        """See Standings."""
        return {name: await self.checkpoint(name) for name in projections}

    async def swap_leases(self, swaps: Sequence[LeaseSwap]) -> list[bool]:
        """See Standings."""
        return await self.inner.swap_leases(swaps)

    async def parked(
        self, projection: str, keys: Sequence[str] | None = None, limit: int | None = None
    ) -> list[Parked]:
        """See Standings."""
        return await self.inner.parked(projection, keys, limit)

    async def generations(self, projection: str) -> list[Generation]:
        """See Standings."""
        return await self.inner.generations(projection)

    async def switch(
        self,
        before: Mapping[str, Role],
        after: Mapping[str, Role],
        epochs: Mapping[str, int] | None = None,
    ) -> bool:
        """See Standings."""
        return await self.inner.switch(before, after, epochs)

    async def drop(self, table: TableSpec, epoch: int | None = None) -> None:
        """See Standings."""
        await self.inner.drop(table, epoch)

    async def held_up_by(self) -> str:
        """See Standings."""
        return await self.inner.held_up_by()

    async def reset(self, table: TableSpec, epoch: int | None = None) -> None:
        """See ReadStore."""
        await self.inner.reset(table, epoch)

    async def refresh(self, view: str) -> int:
        """See ReadStore."""
        return await self.inner.refresh(view)

    def scratch(self) -> ReadStore:
        """See ReadStore."""
        return self.inner.scratch()

    def within(self, handle: Any) -> InlineRows:
        """See Capability.INLINE."""
        rows: InlineRows = cast("Any", self.inner).within(handle)
        return rows

    async def close(self) -> None:
        """The store behind stays open for others."""


def changed(append: Append, **changes: Any) -> Append:
    """An append with some of its parts replaced."""
    return msgspec.structs.replace(append, **changes)
