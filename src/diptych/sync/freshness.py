"""Waiting for a projection: woken by its runner in this process, asking its store otherwise."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from diptych.queries.source import Source
from diptych.queries.wait import Arrivals
from diptych.sync.refreshing import Refreshing

__all__ = ["Waiting"]

_POLL_S = (0.002, 0.05)
"""First and longest pause between two looks at a checkpoint that another process moves."""


class Waiting:
    """See queries.ask.Freshness.

    `refreshing` are the materialized views: they are not waited for, they are refreshed.
    """

    def __init__(self, arrivals: Arrivals, refreshing: Mapping[str, Refreshing]) -> None:
        self._arrivals = arrivals
        self._refreshing = refreshing

    async def wait(self, source: Source, position: int, within_s: float) -> bool:
        """True once the projection has come to `position`."""
        name = source.plan.name
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        here = self._arrivals.is_here(name)
        if here and not await self._arrivals.wait(name, position, within_s):
            if self._arrivals.distrusted(name):
                return False  # it stands in a history that is gone
            if self._arrivals.is_here(name):
                return await self._reached(source, position)  # another process may have moved it
        # The store has the last word: another process may run this projection, or have reset it.
        if name in self._refreshing and not await self._reached(source, position):
            await self._refresh(name, deadline - loop.time())
        pause = _POLL_S[0]
        while not await self._reached(source, position):
            left = deadline - loop.time()
            if left <= 0:
                return False
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.5, _POLL_S[1])
        return True

    async def _reached(self, source: Source, position: int) -> bool:
        return (await source.store.checkpoint(source.plan.name)).position >= position

    async def _refresh(self, view: str, within_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._refreshing[view].refresh()

    def stopped(self, source: Source) -> bool:
        """Whether waiting longer is in vain."""
        return self._arrivals.stopped(source.plan.name)

    def why(self, source: Source) -> str:
        """What is in its way, or who should run it."""
        name = source.plan.name
        if name in self._refreshing:
            return self._arrivals.trouble(name) or "its refresh takes longer than that"
        if not self._arrivals.is_here(name):
            return "it does not run in this process; is the process that runs it alive?"
        return self._arrivals.trouble(name) or f"it has come to {self._arrivals.reached(name)}"
