"""Reading ahead: the next batch of events is read and decoded while the present one is written.

A rebuild waits for its store for a fifth of its time, or more. The log only grows, so what is read
early is what would be read later; two batches are in memory. See docs/decisions/0025.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from diptych.sync.subscription import Delivery, Subscription

__all__ = ["ReadAhead"]


class _Batch(NamedTuple):
    after: int
    limit: int
    until: int | None


class ReadAhead:
    """A subscription that reads one batch before it is asked for, when it is told to."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self._ahead: tuple[_Batch, asyncio.Task[Delivery]] | None = None

    async def deliver(self, after: int, limit: int, until: int | None) -> Delivery:
        """See Subscription."""
        batch = _Batch(after, limit, until)
        if self._ahead is not None:
            begun, task = self._ahead
            if begun == batch:
                try:
                    return await task
                finally:
                    self.drop()
            self.drop()
        return await self._subscription.deliver(*batch)

    def begin(self, after: int, limit: int, until: int | None) -> None:
        """Begin to read what is to be delivered next."""
        self.drop()
        batch = _Batch(after, limit, until)
        task = asyncio.create_task(self._subscription.deliver(*batch), name="reading ahead")
        task.add_done_callback(_retrieve)
        self._ahead = batch, task

    def drop(self) -> asyncio.Task[Delivery] | None:
        """Forget what was read ahead: the projections stand elsewhere, or have come to an end.

        What may still have to end is returned.
        """
        if self._ahead is None:
            return None
        (_, task), self._ahead = self._ahead, None
        task.cancel()
        return task


def _retrieve(task: asyncio.Task[Delivery]) -> None:
    """What nobody waits for may have failed: reading it again would say so."""
    if not task.cancelled():
        task.exception()
