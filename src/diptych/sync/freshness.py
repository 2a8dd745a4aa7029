"""Waiting for a projection: woken by its runner in this process, asking its store otherwise."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence

from diptych.errors import StoreError
from diptych.events.log import EventLog
from diptych.queries.source import Source
from diptych.queries.standings import CheckpointInfo
from diptych.queries.wait import Arrivals
from diptych.sync.generations import is_dropped
from diptych.sync.refreshing import Refreshing
from diptych.sync.terms import read_terms

__all__ = ["Waiting"]

_POLL_S = (0.002, 0.05)
"""First and longest pause between two looks at a checkpoint that another process moves."""

_LOOK_WITHIN_S = 0.5
"""How long a wait that has failed looks for the reason."""


class Waiting:
    """See queries.ask.Freshness.

    `refreshing` are the materialized views: they are not waited for, they are refreshed.
    `choose_again` has what is served read, by one source.
    """

    def __init__(
        self,
        arrivals: Arrivals,
        refreshing: Mapping[str, Refreshing],
        log: EventLog,
        choose_again: Callable[[Source], Awaitable[None]],
    ) -> None:
        self._arrivals = arrivals
        self._refreshing = refreshing
        self._log = log
        self._choose_again = choose_again

    async def wait(self, source: Source, position: int, within_s: float) -> CheckpointInfo | None:
        """Where the projection stands, once it has come to `position`; None: not in time."""
        deadline = asyncio.get_running_loop().time() + within_s
        while True:
            name = source.plan.name
            found = await self._wait(source, name, position, deadline)
            if source.plan.name == name:
                return found
            # Other rows are read since: they are what has to be new enough.

    async def _wait(
        self, source: Source, name: str, position: int, deadline: float
    ) -> CheckpointInfo | None:
        loop = asyncio.get_running_loop()
        within_s = deadline - loop.time()
        here = self._arrivals.is_here(name)
        if here and not await self._arrivals.wait(name, position, within_s):
            if self._arrivals.distrusted(name):
                return None  # it stands in a history that is gone
            if self._arrivals.is_here(name):
                return await self._reached(source, position)  # another process may have moved it
        # The store has the last word: another process may run this projection, or have reset it.
        if name in self._refreshing and not await self._reached(source, position):
            await self._refresh(name, deadline - loop.time())
        pause = _POLL_S[0]
        while (found := await self._reached(source, position)) is None:
            left = deadline - loop.time()
            if left <= 0 or self._arrivals.distrusted(name):
                return None
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.5, _POLL_S[1])
        return found

    async def _reached(self, source: Source, position: int) -> CheckpointInfo | None:
        found = await source.store.checkpoint(source.plan.name)
        if found.position < position:
            return None
        # No runner here has compared it with the log, so somebody must: it may stand in a history
        # that is gone. The head is read after it, for both may move meanwhile.
        unknown = found.position > position and not self._arrivals.reached(source.plan.name)
        return None if unknown and found.position > await self._log.head() else found

    async def _refresh(self, view: str, within_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._refreshing[view].refresh()

    async def read_anew(self, sources: Sequence[Source]) -> bool:
        """See queries.ask.Freshness: a process that was stopped may sleep through a switch."""
        anew = False
        for source in sources:
            name = source.plan.name
            if is_dropped(name, await source.store.generations(source.first.name)):
                await self._choose_again(source)
                anew = anew or source.plan.name != name
        return anew

    def stopped(self, source: Source) -> bool:
        """Whether waiting longer is in vain."""
        return self._arrivals.stopped(source.plan.name)

    async def why(self, source: Source) -> str:
        """What is in its way: its own trouble, a session that blocks its store, or its holder."""
        name = source.plan.name
        if name in self._refreshing:
            return self._arrivals.trouble(name) or "its refresh takes longer than that"
        blocked = await self._blocked(source)
        if self._arrivals.is_here(name) or self._arrivals.stopped(name):
            reached = f"it has come to {self._arrivals.reached(name)}"
            return "; ".join(filter(None, [self._arrivals.trouble(name) or reached, blocked]))
        terms = read_terms((await source.store.checkpoint(name)).lease)
        if not terms.owner:
            return "no process runs it: start one (diptych projections run)"
        doing = f" ({terms.why})" if terms.why else ""
        asked = "" if terms.asked == terms.answered else ", and it has left a question unanswered"
        return "; ".join(filter(None, [f"it is moved by {terms.owner}{doing}{asked}", blocked]))

    async def _blocked(self, source: Source) -> str:
        with contextlib.suppress(StoreError, TimeoutError):
            async with asyncio.timeout(_LOOK_WITHIN_S):
                return await source.store.held_up_by()
        return ""
