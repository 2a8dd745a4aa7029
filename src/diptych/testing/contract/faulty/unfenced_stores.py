"""Read stores whose lease is no fence, or that park on their own account."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from diptych.errors import LeaseLost
from diptych.queries.read_store import Change
from diptych.testing.contract.faulty.shared import SharedStore

__all__ = [
    "AtLeastThisEpochStore",
    "AtMostThisEpochStore",
    "LeaseCheckThenActStore",
    "LeaseForRowsStore",
    "LeaselessStore",
    "LoseUnparkedStore",
    "NeverStandingStillStore",
    "ParkAfterwardsStore",
    "ParkBeforeStore",
]


class LeaselessStore(SharedStore):
    """Never looks at the epoch of a change."""

    breaks = ("G11", "G12")

    async def apply(self, changes: Sequence[Change]) -> None:
        """Pass the fence by."""
        await self.inner.apply([one._replace(epoch=None) for one in changes])


class LeaseCheckThenActStore(SharedStore):
    """Looks at the lease, and writes when it may be another's."""

    breaks = ("G11",)

    async def apply(self, changes: Sequence[Change]) -> None:
        """Look, wait, write."""
        for one in changes:
            actual = (await self.inner.checkpoint(one.projection)).lease.epoch
            if one.epoch not in (None, actual):
                facts = {"projection": one.projection, "epoch": one.epoch, "actual": actual}
                raise LeaseLost("too late", **facts)
        await asyncio.sleep(0)
        await self.inner.apply([one._replace(epoch=None) for one in changes])


class LeaseForRowsStore(SharedStore):
    """Looks at the lease where there are rows to be written."""

    breaks = ("G11",)

    async def apply(self, changes: Sequence[Change]) -> None:
        """Let everything else pass."""
        await self.inner.apply(
            [one if one.rows or one.deleted else one._replace(epoch=None) for one in changes]
        )


class AtLeastThisEpochStore(SharedStore):
    """Takes a change of an epoch to come."""

    breaks = ("G11",)

    async def apply(self, changes: Sequence[Change]) -> None:
        """Call it the present one."""
        await self.inner.apply([await self._passed(one) for one in changes])

    async def _passed(self, one: Change) -> Change:
        actual = (await self.inner.checkpoint(one.projection)).lease.epoch
        return one._replace(epoch=None) if self._passes(one.epoch or 0, actual) else one

    def _passes(self, epoch: int, actual: int) -> bool:
        return epoch > actual


class AtMostThisEpochStore(AtLeastThisEpochStore):
    """Has the comparison the wrong way round."""

    def _passes(self, epoch: int, actual: int) -> bool:
        return epoch < actual


class ParkBeforeStore(SharedStore):
    """Parks in a transaction of its own, before the rows."""

    breaks = ("G12",)

    async def apply(self, changes: Sequence[Change]) -> None:
        """Leave a moment between the two."""
        for one in changes:
            at = (await self.inner.checkpoint(one.projection)).position
            parks = Change(one.projection, at, at, parked=one.parked, unparked=one.unparked)
            await self.inner.apply([parks])
        await asyncio.sleep(0)
        await self.inner.apply([one._replace(parked=(), unparked=()) for one in changes])


class ParkAfterwardsStore(SharedStore):
    """Parks in a transaction of its own, after the rows."""

    breaks = ("G12",)

    async def apply(self, changes: Sequence[Change]) -> None:
        """Leave a moment between the two."""
        await self.inner.apply([one._replace(parked=(), unparked=()) for one in changes])
        await asyncio.sleep(0)
        for one in changes:
            at = (await self.inner.checkpoint(one.projection)).position
            parks = Change(one.projection, at, at, parked=one.parked, unparked=one.unparked)
            await self.inner.apply([parks])


class LoseUnparkedStore(SharedStore):
    """Keeps parked what a change has unparked."""

    breaks = ("G12",)

    async def apply(self, changes: Sequence[Change]) -> None:
        """Forget to unpark."""
        await self.inner.apply([one._replace(unparked=()) for one in changes])


class NeverStandingStillStore(SharedStore):
    """Takes a change that moves no checkpoint for one that has been written already."""

    breaks = ("G12",)

    async def apply(self, changes: Sequence[Change]) -> None:
        """Leave it out."""
        await self.inner.apply([one for one in changes if one.after != one.upto])
