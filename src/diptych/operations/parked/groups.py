"""What is parked, by projection and error: one line per cause."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from diptych.environment import moment
from diptych.queries.parked import Parked
from diptych.sync.retry import waiting_of

__all__ = ["Group", "error_of", "grouped"]

_NO_ERROR = "nothing: what was before it is skipped, or read again; retry it"


class Group(msgspec.Struct, frozen=True):
    """What waits in one projection because of one error: `keys` of rows (or streams), `events` in
    all, from position `first` to `last`, the oldest `since`.
    """

    projection: str
    error: str
    keys: int
    events: int
    first: int
    last: int
    since: datetime


def error_of(first: Parked) -> str:
    """What an entry waits for, in one line."""
    return first.error.partition("\n")[0] or _NO_ERROR


def grouped(projection: str, entries: Sequence[Parked]) -> list[Group]:
    """The groups of one projection, the largest first."""
    lanes: dict[str, list[list[Parked]]] = {}
    for waiting in waiting_of(entries).values():
        lanes.setdefault(error_of(waiting[0]), []).append(waiting)
    made = [_group(projection, error, found) for error, found in lanes.items()]
    return sorted(made, key=lambda one: (-one.keys, one.first))


def _group(projection: str, error: str, lanes: Sequence[Sequence[Parked]]) -> Group:
    return Group(
        projection,
        error,
        keys=len(lanes),
        events=sum(map(len, lanes)),
        first=min(one[0].position for one in lanes),
        last=max(one[-1].position for one in lanes),
        since=moment(min(_times(lanes))),
    )


def _times(lanes: Iterable[Sequence[Parked]]) -> Iterable[int]:
    return (lane[0].at_us for lane in lanes)
