"""One parked key as it is shown: the event that failed, why, and what waits behind it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from diptych.environment import moment
from diptych.errors import MessageError
from diptych.events.log import EventLog
from diptych.messages.envelope import StoredEvent
from diptych.messages.registry import Registry
from diptych.queries.parked import Parked
from diptych.sync.retry import waiting_of
from diptych.sync.waiting_fold import read_stored

__all__ = ["ParkedKey", "shown"]


class ParkedKey(msgspec.Struct, frozen=True):
    """What waits for one key of a projection (with `by_stream`: one stream), and why.

    The first event stands at `position`; `event` is what it says, or None where this code cannot
    read it: then `raw` is its JSON as stored. `trace` is the stack, `attempts` how often it failed,
    `followers` are the entries behind it, in order.
    """

    projection: str
    key: str
    by_stream: bool
    position: int
    stream: str
    type: str
    error: str
    trace: str
    attempts: int
    since: datetime
    event: Any
    raw: str
    followers: tuple[Parked, ...] = ()


async def shown(
    log: EventLog, registry: Registry, projection: str, entries: Sequence[Parked]
) -> list[ParkedKey]:
    """Every parked key among `entries`, by the position of its first event."""
    lanes = list(waiting_of(entries).values())
    stored = await read_stored(log, sorted({lane[0].position for lane in lanes}))
    return [_shown(registry, projection, lane, stored.get(lane[0].position)) for lane in lanes]


def _shown(
    registry: Registry, projection: str, lane: Sequence[Parked], stored: StoredEvent | None
) -> ParkedKey:
    first, *followers = lane
    event, raw = None, ""
    if stored is not None:
        raw = stored.data.decode("utf-8", "backslashreplace")
        with contextlib.suppress(MessageError):  # why, `error` says
            event = registry.decode(stored.type, stored.schema, stored.data)
    return ParkedKey(
        projection,
        first.key,
        first.by_stream,
        first.position,
        first.stream,
        first.type,
        first.error,
        first.trace,
        first.attempts,
        moment(first.at_us),
        event,
        raw,
        tuple(followers),
    )
