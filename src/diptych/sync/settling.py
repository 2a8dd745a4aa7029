"""Waiting until everything is in step, and saying who is not, before which event, and why."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from diptych.errors import StaleRead
from diptych.events.log import EventLog
from diptych.queries.source import Source
from diptych.sync.freshness import Waiting

__all__ = ["settle"]


async def settle(
    sources: Sequence[Source], log: EventLog, freshness: Waiting, within_s: float
) -> None:
    """Wait until every source has come to the present head of the log; see App.settle."""
    head = await log.head()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    behind = []
    for source in sources:
        left = max(0.0, deadline - loop.time())
        if not await freshness.wait(source, head, left):
            behind.append(source)
    if not behind:
        return
    first = behind[0]
    raise StaleRead(
        "; ".join([await _where(source, log, freshness, head) for source in behind]),
        projection=first.plan.name,
        wanted=head,
        reached=(await first.store.checkpoint(first.plan.name)).position,
        within_s=within_s,
        why=freshness.why(first),
    )


async def _where(source: Source, log: EventLog, freshness: Waiting, head: int) -> str:
    reached = (await source.store.checkpoint(source.plan.name)).position
    following = await log.read(reached, 1)
    event = f" before {following[0].type} of {following[0].stream}" if following else ""
    why = freshness.why(source) or "it is still catching up"
    lag = f"{max(0, head - reached)} events behind"
    return f"{source.plan.name} stands at position {reached}{event}, {lag}: {why}"
