"""Refreshing materialized views: when asked, for a token, and after given events."""

from __future__ import annotations

import asyncio
import logging

from diptych.errors import DiptychError
from diptych.events.condition import EventFilter
from diptych.queries.projection import Plan
from diptych.queries.read_store import ReadStore
from diptych.sync.hinge import Hinge

__all__ = ["Refreshing"]

_log = logging.getLogger("diptych")

AT_MOST_EVERY_S = 0.2
"""Pause between two refreshes of one view by itself: each costs as much as the whole SELECT."""

RETRY_S = 1.0


class Refreshing:
    """Refreshes one materialized view; many who ask at once share one refresh."""

    def __init__(self, hinge: Hinge, store: ReadStore, plan: Plan) -> None:
        self.plan = plan
        self._hinge = hinge
        self._store = store
        self._running: asyncio.Task[int] | None = None
        self._next: asyncio.Task[int] | None = None

    async def refresh(self) -> int:
        """Show everything that was committed before this call; the new checkpoint.

        A refresh that had begun before may have looked too early, so it does not count.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._running))
        # Shielded: somebody else may be waiting for the same refresh.
        return await asyncio.shield(self._next)

    async def run(self) -> None:
        """Refresh after each event of the wanted classes, until cancelled."""
        wanted = EventFilter(
            tuple(self._hinge.registry.of(cls).identity.name for cls in self.plan.refreshed_after)
        )
        log, sleep = self._hinge.log, self._hinge.environment.sleep
        at = (await self._store.checkpoint(self.plan.name)).position
        while True:
            try:
                head = await log.wait(at)
                if await log.read(at, 1, (wanted,)):
                    head = await self.refresh()
                    await sleep(AT_MOST_EVERY_S)
                at = head
            except DiptychError as error:
                self._hinge.arrivals.note(self.plan.name, f"refreshing again soon: {error}")
                _log.warning("the view %s was not refreshed: %s", self.plan.name, error)
                await sleep(RETRY_S)

    async def finish(self) -> None:
        """Wait for the refresh that is going on, if there is one."""
        going_on = [task for task in (self._running, self._next) if task is not None]
        if going_on:
            await asyncio.wait(going_on)
        self._running = self._next = None

    async def _after(self, before: asyncio.Task[int] | None) -> int:
        if before is not None:
            await asyncio.wait([before])
        self._running, self._next = self._next, None
        position = await self._store.refresh(self.plan.name)
        self._hinge.arrivals.arrive(self.plan.name, position)
        return position
