"""Read stores that mix up the generations of a projection."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from diptych.queries.read_store import (
    Generation,
    LeaseSwap,
    ReadStore,
    Role,
    TableSpec,
)
from diptych.queries.standings import Lease
from diptych.testing.contract.faulty.shared import SharedStore

__all__ = [
    "BornAgainStore",
    "DropNeighboursStore",
    "DropRowsOnlyStore",
    "HalfSwitchStore",
    "LookThenSwitchStore",
    "NameBeginsStore",
    "SwitchAnywayStore",
    "SwitchingLeasesStore",
    "TornSwitchStore",
    "UnfencedSwitchStore",
    "UnnumberedStore",
]


class SwitchAnywayStore(SharedStore):
    """Does not look which roles generations have."""

    breaks = ("G4",)

    async def switch(
        self,
        before: Mapping[str, Role],
        after: Mapping[str, Role],
        epochs: Mapping[str, int] | None = None,
    ) -> bool:
        """Expect nothing."""
        return await self.inner.switch({}, after, epochs)


class UnfencedSwitchStore(SharedStore):
    """Switches whoever holds the leases."""

    breaks = ("G4",)

    async def switch(
        self,
        before: Mapping[str, Role],
        after: Mapping[str, Role],
        epochs: Mapping[str, int] | None = None,
    ) -> bool:
        """Look at roles only."""
        return await self.inner.switch(before, after)


class LookThenSwitchStore(SharedStore):
    """Looks at the roles, and switches when they may have changed."""

    breaks = ("G4",)

    async def switch(
        self,
        before: Mapping[str, Role],
        after: Mapping[str, Role],
        epochs: Mapping[str, int] | None = None,
    ) -> bool:
        """Look, wait, switch."""
        right = await self.inner.switch(before, before, epochs)
        await asyncio.sleep(0)
        return right and await self.inner.switch({}, after)


class HalfSwitchStore(SharedStore):
    """Gives a role to each generation that is there and as expected."""

    breaks = ("G4",)

    async def switch(
        self,
        before: Mapping[str, Role],
        after: Mapping[str, Role],
        epochs: Mapping[str, int] | None = None,
    ) -> bool:
        """Switch one by one, and say whether all went well."""
        done = True
        for name, role in after.items():
            expected = {name: before[name]} if name in before else {}
            done = await self.inner.switch(expected, {name: role}, epochs) and done
        return done


class TornSwitchStore(SharedStore):
    """Gives one role, and the other a little later."""

    breaks = ("G4",)

    async def switch(
        self,
        before: Mapping[str, Role],
        after: Mapping[str, Role],
        epochs: Mapping[str, int] | None = None,
    ) -> bool:
        """Leave a moment between the two."""
        if not await self.inner.switch(before, before, epochs):
            return False
        done = []
        for name, role in after.items():
            done.append(await self.inner.switch({}, {name: role}))
            await asyncio.sleep(0)
        return all(done)


class SwitchingLeasesStore(SharedStore):
    """Releases the lease of a generation whose role changes."""

    breaks = ("G4",)

    async def switch(
        self,
        before: Mapping[str, Role],
        after: Mapping[str, Role],
        epochs: Mapping[str, int] | None = None,
    ) -> bool:
        """Forget who has it."""
        switched = await self.inner.switch(before, after, epochs)
        for name in after if switched else ():
            lease = (await self.inner.checkpoint(name)).lease
            await self.inner.swap_leases([LeaseSwap(name, lease, Lease())])
        return switched


class NameBeginsStore(SharedStore):
    """Takes every projection for a generation whose name begins alike."""

    breaks = ("G4",)

    def __init__(self, inner: ReadStore) -> None:
        super().__init__(inner)
        self._names: set[str] = set()

    async def open(self, tables: Sequence[TableSpec]) -> None:
        """Remember names."""
        self._names |= {table.name for table in tables}
        await self.inner.open(tables)

    async def generations(self, projection: str) -> list[Generation]:
        """Give all that begin alike."""
        found = []
        for name in sorted(self._names):
            if name.startswith(projection):
                found += (await self.inner.generations(name))[:1]
        return found


class UnnumberedStore(SharedStore):
    """Gives generations by name: the tenth before the second."""

    breaks = ("G4",)

    async def generations(self, projection: str) -> list[Generation]:
        """Sort by the wrong thing."""
        return sorted(await self.inner.generations(projection))


class BornAgainStore(SharedStore):
    """Gives generations the role of their birth whenever they are opened."""

    breaks = ("G4", "G7")

    async def open(self, tables: Sequence[TableSpec]) -> None:
        """Have them served if they have no number."""
        await self.inner.open(tables)
        for table in tables:
            role: Role = "building" if table.name.endswith("__1") else "served"
            await self.inner.switch({}, {table.name: role})


class DropRowsOnlyStore(SharedStore):
    """Drops rows, and leaves what is beside them."""

    breaks = ("G5",)

    async def drop(self, table: TableSpec, epoch: int | None = None) -> None:
        """Reset."""
        if any(one.name == table.name for one in await self.inner.generations(table.name)):
            await self.inner.reset(table, epoch)


class DropNeighboursStore(SharedStore):
    """Drops all whose names begin alike."""

    breaks = ("G5",)

    def __init__(self, inner: ReadStore) -> None:
        super().__init__(inner)
        self._tables: dict[str, TableSpec] = {}

    async def open(self, tables: Sequence[TableSpec]) -> None:
        """Remember names."""
        self._tables |= {table.name: table for table in tables}
        await self.inner.open(tables)

    async def drop(self, table: TableSpec, epoch: int | None = None) -> None:
        """Drop the eleventh with the first."""
        for name, other in self._tables.items():
            if name.startswith(table.name):
                await self.inner.drop(other, epoch)
