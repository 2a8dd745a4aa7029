"""Read stores that lose, mix or misplace what is parked."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from diptych.queries.parked import Parked
from diptych.queries.read_store import Change, CheckpointInfo, LeaseSwap, TableSpec
from diptych.queries.standings import Lease
from diptych.testing.contract.faulty.shared import SharedStore

__all__ = [
    "CaselessKeysStore",
    "CuttingStore",
    "ForgetPassedStore",
    "ForgetSkippedStore",
    "GreedyUnparkStore",
    "HoardingStore",
    "KeepFirstStore",
    "LimitBeforeKeysStore",
    "MixGenerationsStore",
    "OneLaneStore",
    "OrderedByTextStore",
    "ReleasingStore",
    "SkippedAreNotParkedStore",
    "UnorderedStore",
]


class UnorderedStore(SharedStore):
    """Gives what is parked by key."""

    breaks = ("G3",)

    async def parked(
        self, projection: str, keys: Sequence[str] | None = None, limit: int | None = None
    ) -> list[Parked]:
        """Sort by the wrong thing."""
        found = await self.inner.parked(projection, keys)
        return sorted(found, key=self._order)[:limit]

    def _order(self, one: Parked) -> tuple[str, ...]:
        return (one.key,)


class OrderedByTextStore(UnorderedStore):
    """Thinks that position 10 comes before position 9."""

    def _order(self, one: Parked) -> tuple[str, ...]:
        return (str(one.position), one.key)


class CaselessKeysStore(SharedStore):
    """Takes keys that differ in case for the same."""

    breaks = ("G3",)

    async def parked(
        self, projection: str, keys: Sequence[str] | None = None, limit: int | None = None
    ) -> list[Parked]:
        """Give what is parked for others, too."""
        found = await self.inner.parked(projection)
        folded = None if keys is None else {key.casefold() for key in keys}
        return [one for one in found if folded is None or one.key.casefold() in folded][:limit]


class LimitBeforeKeysStore(SharedStore):
    """Looks for keys among the first that there are."""

    breaks = ("G3",)

    async def parked(
        self, projection: str, keys: Sequence[str] | None = None, limit: int | None = None
    ) -> list[Parked]:
        """Cut first."""
        found = await self.inner.parked(projection, None, limit)
        return [one for one in found if keys is None or one.key in keys]


class CuttingStore(SharedStore):
    """Has room for the first 200 letters of a trace."""

    breaks = ("G3",)

    async def apply(self, changes: Sequence[Change]) -> None:
        """Cut them off."""
        await self.inner.apply(
            [
                change._replace(
                    parked=[
                        msgspec.structs.replace(one, trace=one.trace[:200]) for one in change.parked
                    ]
                )
                for change in changes
            ]
        )


class OneLaneStore(SharedStore):
    """Does not tell a key from a stream of the same name."""

    breaks = ("G3",)

    async def apply(self, changes: Sequence[Change]) -> None:
        """Unpark both."""
        await self.inner.apply(
            [
                change._replace(
                    unparked=[
                        msgspec.structs.replace(one, by_stream=by_stream)
                        for one in change.unparked
                        for by_stream in (False, True)
                    ]
                )
                for change in changes
            ]
        )


class ForgetPassedStore(SharedStore):
    """Takes for done what is parked behind the checkpoint."""

    breaks = ("G3",)

    async def apply(self, changes: Sequence[Change]) -> None:
        """Unpark it."""
        passed = []
        for one in changes:
            old = await self.inner.parked(one.projection) if one.upto > one.after else []
            passed.append(one._replace(unparked=[*one.unparked, *old]))
        await self.inner.apply(passed)


class MixGenerationsStore(SharedStore):
    """Keeps in one place what is parked for all generations of a projection."""

    breaks = ("G3",)

    async def parked(
        self, projection: str, keys: Sequence[str] | None = None, limit: int | None = None
    ) -> list[Parked]:
        """Give all of it."""
        found: list[Parked] = await self.inner.parked(projection, keys)
        for other in await self.inner.generations(projection.partition("__")[0]):
            if other.name != projection:
                found += await self.inner.parked(other.name, keys)
        return sorted(found, key=lambda one: (one.position, one.key, one.by_stream))[:limit]


class GreedyUnparkStore(SharedStore):
    """Unparks all of a key when one event of it is unparked."""

    breaks = ("G3",)

    async def apply(self, changes: Sequence[Change]) -> None:
        """Take the followers along."""
        await self.inner.apply(
            [
                change._replace(
                    unparked=await self.inner.parked(
                        change.projection, [one.key for one in change.unparked]
                    )
                )
                for change in changes
            ]
        )


class KeepFirstStore(SharedStore):
    """Leaves what is parked as it was when it is parked again."""

    breaks = ("G3", "G6")

    async def apply(self, changes: Sequence[Change]) -> None:
        """Drop the second."""
        fresh = []
        for change in changes:
            there = {(it.lane, it.position) for it in await self.inner.parked(change.projection)}
            new = [one for one in change.parked if (one.lane, one.position) not in there]
            fresh.append(change._replace(parked=new))
        await self.inner.apply(fresh)


class SkippedAreNotParkedStore(SharedStore):
    """Says that nothing is parked where all was skipped."""

    breaks = ("G3", "G6")

    async def checkpoint(self, projection: str) -> CheckpointInfo:
        """Count the others only."""
        entries = await self.inner.parked(projection)
        parks = any(one.waits for one in entries)
        return (await self.inner.checkpoint(projection))._replace(parks=parks)


class ForgetSkippedStore(SharedStore):
    """Forgets with a reset what was skipped."""

    breaks = ("G6",)

    async def reset(self, table: TableSpec, epoch: int | None = None) -> None:
        """Forget all that is parked."""
        await self.inner.reset(table, epoch)
        left = await self.inner.parked(table.name)
        await self.inner.apply([Change(table.name, 0, 0, unparked=left)])


class HoardingStore(SharedStore):
    """Keeps what is parked over a reset."""

    breaks = ("G6",)

    async def reset(self, table: TableSpec, epoch: int | None = None) -> None:
        """Put it back."""
        entries = await self.inner.parked(table.name)
        await self.inner.reset(table, epoch)
        await self.inner.apply([Change(table.name, 0, 0, parked=entries)])


class ReleasingStore(SharedStore):
    """Gives the lease away with a reset."""

    breaks = ("G6",)

    async def reset(self, table: TableSpec, epoch: int | None = None) -> None:
        """Forget who has it."""
        await self.inner.reset(table, epoch)
        lease = (await self.inner.checkpoint(table.name)).lease
        await self.inner.swap_leases([LeaseSwap(table.name, lease, Lease())])
