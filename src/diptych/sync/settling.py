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
    behind, said = [], []
    for source in sources:
        found = await freshness.wait(source, head, max(0.0, deadline - loop.time()))
        if found is None:
            behind.append(source)
            said.append(await _where(source, log, freshness, head))
        elif found.parks and (lacks := await _lacks(source, head)):
            behind.append(source)
            said.append(lacks)
    if not behind:
        return
    first = behind[0]
    raise StaleRead(
        "; ".join(said),
        projection=first.plan.name,
        wanted=head,
        reached=(await first.store.checkpoint(first.plan.name)).position,
        within_s=within_s,
        why=said[0],
    )


async def _lacks(source: Source, head: int) -> str:
    name = source.plan.name
    waiting = [one for one in await source.store.parked(name) if one.waits and one.position <= head]
    if not waiting:
        return ""
    first = waiting[0]
    more = f", and {len(waiting) - 1} more" if len(waiting) > 1 else ""
    return (
        f"{name} has parked {first.key!r} at position {first.position} ({first.type} of "
        f"{first.stream}): {first.error}{more}. Retry it: diptych parked retry {name}"
    )


async def _where(source: Source, log: EventLog, freshness: Waiting, head: int) -> str:
    reached = (await source.store.checkpoint(source.plan.name)).position
    following = await log.read(reached, 1)
    event = f" before {following[0].type} of {following[0].stream}" if following else ""
    why = await freshness.why(source) or "it is still catching up"
    lag = f"{max(0, head - reached)} events behind"
    return f"{source.plan.name} stands at position {reached}{event}, {lag}: {why}"
