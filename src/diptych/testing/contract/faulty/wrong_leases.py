"""Read stores that give a lease to the wrong one, or forget who has it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from diptych.errors import LeaseLost
from diptych.queries.read_store import (
    Change,
    CheckpointInfo,
    Lease,
    LeaseSwap,
    ReadStore,
    TableSpec,
)
from diptych.testing.contract.faulty.shared import SharedStore
from diptych.testing.contract.faulty.unfenced_stores import LeaseCheckThenActStore

__all__ = [
    "AllOrNothingSwapStore",
    "BriefTermsStore",
    "EpochOnlySwapStore",
    "LateFenceStore",
    "LeaseInProcessStore",
    "LookThenSwapStore",
    "OpenReleasesStore",
    "PositionsOnlyStore",
    "RememberedLeaseStore",
    "RenewalIsTakingStore",
    "SwapForgetsStore",
    "TakeAnywayStore",
    "UnfencedDropStore",
    "UnfencedResetStore",
]


class TakeAnywayStore(SharedStore):
    """Gives a lease to whoever wants it."""

    breaks = ("G1",)

    async def swap_leases(self, swaps: Sequence[LeaseSwap]) -> list[bool]:
        """Expect what is there."""
        return await self.inner.swap_leases([await self._expecting(swap) for swap in swaps])

    async def _expecting(self, swap: LeaseSwap) -> LeaseSwap:
        return swap._replace(before=(await self.inner.checkpoint(swap.projection)).lease)


class LookThenSwapStore(TakeAnywayStore):
    """Looks whether a lease is as expected, and replaces it when it may be another."""

    async def swap_leases(self, swaps: Sequence[LeaseSwap]) -> list[bool]:
        """Look, wait, replace."""
        swapped = []
        for swap in swaps:
            right = (await self._expecting(swap)).before == swap.before
            await asyncio.sleep(0)
            swapped.append(right and (await super().swap_leases([swap]))[0])
        return swapped


class EpochOnlySwapStore(TakeAnywayStore):
    """Does not look at the terms of a lease."""

    async def _expecting(self, swap: LeaseSwap) -> LeaseSwap:
        there = (await super()._expecting(swap)).before
        return swap._replace(before=there) if there.epoch == swap.before.epoch else swap


class AllOrNothingSwapStore(TakeAnywayStore):
    """Swaps several leases only if all are as expected."""

    async def swap_leases(self, swaps: Sequence[LeaseSwap]) -> list[bool]:
        """Let one that is wrong keep the others back."""
        right = [await self._expecting(swap) == swap for swap in swaps]
        return await self.inner.swap_leases(swaps) if all(right) else [False for _ in swaps]


class BriefTermsStore(SharedStore):
    """Has room for 100 letters of terms."""

    breaks = ("G1",)

    async def swap_leases(self, swaps: Sequence[LeaseSwap]) -> list[bool]:
        """Cut the rest off."""
        return await self.inner.swap_leases(
            [LeaseSwap(name, _brief(before), _brief(after)) for name, before, after in swaps]
        )


class PositionsOnlyStore(SharedStore):
    """Leaves out leases when asked for several checkpoints."""

    breaks = ("G1",)

    async def checkpoints(self, projections: Sequence[str]) -> dict[str, CheckpointInfo]:
        """Give positions and fingerprints."""
        found = await super().checkpoints(projections)
        return {name: CheckpointInfo(*info[:2]) for name, info in found.items()}


class SwapForgetsStore(SharedStore):
    """Forgets what is parked when another one takes the lease."""

    breaks = ("G1",)

    async def swap_leases(self, swaps: Sequence[LeaseSwap]) -> list[bool]:
        """Begin again."""
        for swap in swaps:
            at = (await self.inner.checkpoint(swap.projection)).position
            entries = await self.inner.parked(swap.projection)
            await self.inner.apply([Change(swap.projection, at, at, unparked=entries)])
        return await self.inner.swap_leases(swaps)


class LateFenceStore(LeaseCheckThenActStore):
    """Looks at the lease, and parks when it may be another's."""

    breaks = ("G2",)


class RenewalIsTakingStore(SharedStore):
    """Takes new terms for a new owner."""

    breaks = ("G2",)

    def __init__(self, inner: ReadStore) -> None:
        super().__init__(inner)
        self._terms: dict[str, int] = {}

    async def swap_leases(self, swaps: Sequence[LeaseSwap]) -> list[bool]:
        """Count how often terms were renewed."""
        for name, before, after in swaps:
            self._terms[name] = self._terms.get(name, 0) + (before.epoch == after.epoch)
        return await self.inner.swap_leases(swaps)

    async def apply(self, changes: Sequence[Change]) -> None:
        """Refuse who does not know of it."""
        renewed = [one._replace(epoch=-1) for one in changes if self._terms.get(one.projection)]
        await self.inner.apply(renewed or changes)


class OpenReleasesStore(SharedStore):
    """Gives leases away when it is opened."""

    breaks = ("G7",)

    async def open(self, tables: Sequence[TableSpec]) -> None:
        """Begin with nobody owning anything."""
        await self.inner.open(tables)
        for table in tables:
            lease = (await self.inner.checkpoint(table.name)).lease
            await self.inner.swap_leases([LeaseSwap(table.name, lease, Lease())])


class RememberedLeaseStore(SharedStore):
    """Knows the leases that were taken in its own process."""

    breaks = ("G2",)

    def __init__(self, inner: ReadStore) -> None:
        super().__init__(inner)
        self._mine: dict[str, int] = {}

    async def swap_leases(self, swaps: Sequence[LeaseSwap]) -> list[bool]:
        """Remember what was taken here."""
        swapped = await self.inner.swap_leases(swaps)
        for swap, done in zip(swaps, swapped, strict=True):
            if done:
                self._mine[swap.projection] = swap.after.epoch
        return swapped

    async def apply(self, changes: Sequence[Change]) -> None:
        """Judge by what is remembered."""
        for one in changes:
            actual = self._mine.get(one.projection, one.epoch)
            if one.epoch not in (None, actual):
                facts = {"projection": one.projection, "epoch": one.epoch, "actual": actual}
                raise LeaseLost("taken here", **facts)
        await self.inner.apply([one._replace(epoch=None) for one in changes])


class UnfencedResetStore(SharedStore):
    """Empties rows for whoever asks."""

    breaks = ("G2",)

    async def reset(self, table: TableSpec, epoch: int | None = None) -> None:
        """Pass the fence by."""
        await self.inner.reset(table)


class UnfencedDropStore(SharedStore):
    """Drops rows for whoever asks."""

    breaks = ("G2",)

    async def drop(self, table: TableSpec, epoch: int | None = None) -> None:
        """Pass the fence by."""
        await self.inner.drop(table)


class LeaseInProcessStore(SharedStore):
    """Keeps leases beside the store, where the next process does not find them."""

    breaks = ("G1", "G7")

    def __init__(self, inner: ReadStore) -> None:
        super().__init__(inner)
        self._leases: dict[str, Lease] = {}

    async def checkpoint(self, projection: str) -> CheckpointInfo:
        """Show the lease that is known here."""
        info = await self.inner.checkpoint(projection)
        return info._replace(lease=self._leases.get(projection, Lease()))

    async def swap_leases(self, swaps: Sequence[LeaseSwap]) -> list[bool]:
        """Swap here."""
        swapped = []
        for projection, before, after in swaps:
            right = self._leases.get(projection, Lease()) == before
            swapped.append(right)
            if right:
                self._leases[projection] = after
        return swapped

    async def apply(self, changes: Sequence[Change]) -> None:
        """Judge by what is known here."""
        for one in changes:
            actual = self._leases.get(one.projection, Lease()).epoch
            if one.epoch not in (None, actual):
                facts = {"projection": one.projection, "epoch": one.epoch, "actual": actual}
                raise LeaseLost("known here", **facts)
        await self.inner.apply([one._replace(epoch=None) for one in changes])


def _brief(lease: Lease) -> Lease:
    return lease._replace(terms=lease.terms[:100])
