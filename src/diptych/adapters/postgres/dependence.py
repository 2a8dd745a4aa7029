"""Which appends may share a batch: those whose outcome does not depend on each other.

Everything in a batch is checked against the log as it stood before the batch. So that the outcome
is still that of one append after the other, in the order of submission, an append that depends on
an earlier one waits for the next batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from diptych.adapters.postgres.jobs import AppendJob
from diptych.events.condition import AppendCondition, EventFilter
from diptych.events.log import ANY_VERSION, Append, EventToStore

__all__ = ["part_batch"]


_CHECKS = 0
"""Looks at the version of a stream, and leaves it."""
_ADDS = 1
"""Adds to a stream wherever that stands: it cannot be refused."""
_CHANGES = 2
"""Anything else."""


def part_batch(jobs: Sequence[AppendJob]) -> tuple[list[AppendJob], list[AppendJob]]:
    """The appends that can go now, and those that have to wait; both in order."""
    singles = {job.single.stream for job in jobs if job.single is not None}
    if len(singles) == len(jobs):  # one event each, for streams of their own
        return list(jobs), []
    now: list[AppendJob] = []
    later: list[AppendJob] = []
    # Stream -> what earlier appends do with it.
    streams: dict[str, int] = {}
    watch = _Watch() if any(job.append.condition for job in jobs) else None
    for job in jobs:
        append = job.append
        waits = _depends(job, streams, watch)
        (later if waits else now).append(job)
        for stream, expected, events in append.streams:
            kind = _kind(job, expected, events)
            streams[stream] = kind if streams.get(stream, kind) == kind else _CHANGES
        if append.command is not None:
            streams[_id_key(append)] = _CHANGES
        if watch is not None:
            watch.add(append, waits=waits)
    return now, later


def _kind(job: AppendJob, expected: int, events: Sequence[EventToStore]) -> int:
    if not events:
        return _CHECKS
    return _ADDS if expected == ANY_VERSION and job.plain else _CHANGES


def _depends(job: AppendJob, streams: dict[str, int], watch: _Watch | None) -> bool:
    append = job.append
    for stream, expected, events in append.streams:
        # Those who all check a stream, or all add to it, may follow each other in one batch.
        if stream in streams and (
            streams[stream] == _CHANGES or streams[stream] != _kind(job, expected, events)
        ):
            return True
    if append.command is not None and _id_key(append) in streams:
        return True
    return watch is not None and watch.concerns(append)


def _id_key(append: Append) -> str:
    # No stream has this name: PostgreSQL refuses the character.
    return f"\0{append.command.command_id}" if append.command else ""


class _Watch:
    """The events of earlier appends by type and tag, and the conditions of those that wait."""

    def __init__(self) -> None:
        self._all: list[EventToStore] = []
        self._by_word: dict[tuple[str, str], list[EventToStore]] = {}
        self._waiting: list[AppendCondition] = []

    def add(self, append: Append, *, waits: bool) -> None:
        for event in _events(append):
            self._all.append(event)
            self._by_word.setdefault(("type", event.type), []).append(event)
            for tag in event.tags:
                self._by_word.setdefault(("tag", tag), []).append(event)
        if waits and append.condition is not None:
            self._waiting.append(append.condition)

    def concerns(self, append: Append) -> bool:
        """Whether an earlier event may violate its condition, or it the condition of one that
        waits.
        """
        filters = append.condition.filters if append.condition is not None else ()
        return any(
            wanted.matches(event.type, event.tags)
            for wanted in filters
            for event in self._candidates(wanted)
        ) or any(
            wanted.matches(event.type, event.tags)
            for waiting in self._waiting
            for wanted in waiting.filters
            for event in _events(append)
        )

    def _candidates(self, wanted: EventFilter) -> Iterable[EventToStore]:
        if wanted.tags:
            return self._by_word.get(("tag", wanted.tags[0]), ())
        if wanted.types:
            return (one for kind in wanted.types for one in self._by_word.get(("type", kind), ()))
        return self._all


def _events(append: Append) -> Iterable[EventToStore]:
    return (event for stream in append.streams for event in stream.events)
