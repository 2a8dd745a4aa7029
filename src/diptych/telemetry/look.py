"""One look at an application: what its log, projections and replicas say of themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, NamedTuple, TypeVar

from diptych.application import App
from diptych.errors import DiptychError
from diptych.events.obstacle import Obstacle
from diptych.queries.replicas import ReplicaStatus
from diptych.sync.status import ProjectionStatus
from diptych.telemetry.deadline import within

__all__ = ["Look", "look_at"]

T = TypeVar("T")


class Look(NamedTuple):
    """What was seen. What did not answer in time is missing: None, or empty."""

    head: int | None = None
    projections: Sequence[ProjectionStatus] = ()
    replicas: Sequence[ReplicaStatus] = ()
    obstacle: Obstacle | None = None
    beyond: frozenset[str] = frozenset()
    """Projections that stand beyond the end of the log."""


async def look_at(app: App, within_s: float) -> Look:
    """Ask everything at once; nothing takes longer than `within_s`, and nothing raises."""
    head = await _answer(within_s, app.log.head())
    if head is None:  # closed or out of reach: what follows must not open it
        return Look()
    projections, replicas, obstacle = await asyncio.gather(
        _answer(within_s, app.status()),
        _answer(within_s, app.replicas()),
        _answer(within_s, app.log.held_up_by()),
    )
    beyond = frozenset(one.name for one in projections or () if one.position > one.head)
    if beyond:
        # A runner may have moved on while it was looked at. The head, read later, says which.
        end = await _answer(within_s, app.log.head())
        beyond = frozenset(
            one.name
            for one in projections or ()
            if end is not None and one.name in beyond and one.position > end
        )
    return Look(head, projections or (), replicas or (), obstacle, beyond)


async def _answer(within_s: float, question: Coroutine[Any, Any, T]) -> T | None:
    try:
        return await within(within_s, question)
    except (DiptychError, TimeoutError):
        return None
