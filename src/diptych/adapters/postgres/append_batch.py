"""Many appends as the columns of one statement, and its answer as an outcome for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from diptych.adapters.postgres.jobs import AppendJob
from diptych.errors import AppendConditionFailed, DiptychError, VersionConflict
from diptych.events.log import (
    Append,
    Appended,
    CommandRecord,
    EventToStore,
    StoredEvent,
    StreamAppend,
)

__all__ = ["AppendBatch", "conflict"]

_encode = msgspec.json.Encoder().encode


class AppendBatch:
    """The appends of one transaction. None of them depends on another.

    `arguments` are the parameters of append_batch_v1, whose answer `settle` takes.
    """

    def __init__(self, jobs: Sequence[AppendJob], now_us: int) -> None:
        self._jobs = jobs
        self._now_us = now_us
        self._members: list[int] = []
        self._streams: list[str] = []
        self._expected: list[int] = []
        self._parts: list[int] = []
        self._numbers: list[int] = []
        self._event_streams: list[str] = []
        self._types: list[str] = []
        self._schemas: list[int] = []
        self._data: list[bytes] = []
        self._meta: list[bytes] = []
        self._recorded: list[int] = []
        self._tags: list[tuple[int, str]] = []
        self._commands: list[tuple[Any, ...]] = []
        self._snapshots: list[tuple[Any, ...]] = []
        self._conditions: list[dict[str, Any]] = []
        self._counts: list[int] = []
        self._one_stream_each = True
        # How far appends of this batch have moved a stream that they take as it is.
        self._moved: dict[str, int] = {}
        singles = [job.single for job in jobs if job.single is not None]
        if len(singles) == len(jobs) and len({one.stream for one in singles}) == len(jobs):
            self._add_singles(singles)
        else:
            for member, job in enumerate(jobs, 1):
                self._add(member, job)

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What append_batch_v1 takes."""
        # Not by counting alone: an append without streams, which only records a rejection, beside
        # one with two of them would be taken for two appends with one each.
        simple = (
            self._one_stream_each
            and len(self._parts) == len(self._jobs)
            and max(self._numbers, default=0) == 1
        )
        return (
            *((None, None) if simple else (self._members, self._streams)),
            self._expected,
            *((None, None) if simple else (self._parts, self._numbers)),
            self._event_streams,
            self._types,
            _short(self._schemas),
            self._data,
            self._meta,
            _short(self._recorded),
            *_columns(self._tags, 2),
            *_columns(self._commands, 7),
            *_columns(self._snapshots, 5),
            _encode(self._conditions).decode() if self._conditions else None,
        )

    def settle(self, answer: Sequence[Any]) -> tuple[list[Appended | DiptychError | None], int]:
        """An outcome per append, and the head afterwards (0: nothing was written).

        None stands for a known command id, whose record has to be read.
        """
        head, refused, standing, known, violated, violation = answer
        position = head + 1
        if refused is None:
            placed: list[Appended | DiptychError | None] = []
            for count in self._counts:
                placed.append(Appended(position if count else 0, count))
                position += count
            return placed, position - 1 if position > head + 1 else 0
        outcomes: list[Appended | DiptychError | None] = []
        refusals = _refusals(known or (), violated or (), violation or ())
        out = set(refused)
        parts = iter(standing)
        for member, (job, count) in enumerate(zip(self._jobs, self._counts, strict=True), 1):
            stands = [next(parts) for _ in job.append.streams]
            if member not in out:
                outcomes.append(Appended(position if count else 0, count))
                position += count
            elif member in refusals and refusals[member] is None:
                outcomes.append(None)
            else:
                outcomes.append(conflict(job.append, stands) or refusals[member])
        return outcomes, position - 1 if position > head + 1 else 0

    def events(self, head: int, answer: Sequence[Any]) -> list[StoredEvent] | None:
        """The events as they are stored now, if that can be told without asking the database."""
        if answer[1] is not None or -1 in self._expected:
            return None
        numbered = enumerate(
            zip(
                self._parts,
                self._numbers,
                self._event_streams,
                self._types,
                self._schemas,
                self._data,
                self._meta,
                self._recorded,
                strict=True,
            ),
            head + 1,
        )
        return [
            StoredEvent(position, row[2], self._expected[row[0] - 1] + row[1], *row[3:])
            for position, row in numbered
        ]

    def _add_singles(self, singles: Sequence[StreamAppend]) -> None:
        """One event each, for streams of their own: column by column is twice as fast."""
        self._counts = self._numbers = [1] * len(singles)
        self._members = self._parts = list(range(1, len(singles) + 1))
        streams, expected, events = zip(*singles, strict=True)
        self._streams = self._event_streams = list(streams)
        self._expected = list(expected)
        types, schemas, data, meta, _ = zip(*(one for (one,) in events), strict=True)
        self._types, self._schemas = list(types), list(schemas)
        self._data, self._meta = list(data), list(meta)
        self._recorded = [job.recorded_us or self._now_us for job in self._jobs]

    def _add(self, member: int, job: AppendJob) -> None:
        append = job.append
        before = len(self._parts)
        self._one_stream_each &= len(append.streams) == 1
        for stream, expected, events in append.streams:
            self._members.append(member)
            self._streams.append(stream)
            self._expected.append(expected)
            if events:
                self._add_events(stream, events, job.recorded_us or self._now_us)
        count = len(self._parts) - before
        self._counts.append(count)
        if append.condition is not None or append.command is not None or append.snapshots:
            self._add_rest(member, append, before, count, job.recorded_us or self._now_us)

    def _add_events(self, stream: str, events: Sequence[EventToStore], recorded_us: int) -> None:
        part = len(self._streams)
        number = self._moved.get(stream, 0)
        for kind, schema, data, meta, tags in events:
            number += 1
            self._parts.append(part)
            self._numbers.append(number)
            self._event_streams.append(stream)
            self._types.append(kind)
            self._schemas.append(schema)
            self._data.append(data)
            self._meta.append(meta)
            self._recorded.append(recorded_us)
            if tags:
                at = len(self._parts)
                self._tags += [(at, tag) for tag in dict.fromkeys(tags)]
        self._moved[stream] = number

    def _add_rest(
        self, member: int, append: Append, before: int, count: int, recorded_us: int
    ) -> None:
        if append.condition is not None:
            after = append.condition.after
            self._conditions += [
                {"member": member, "after": after, "types": wanted.types, "tags": wanted.tags}
                for wanted in append.condition.filters
            ]
        if append.command is not None:
            known, digest, answer, _, _ = append.command
            first = before + 1 if count else None
            self._commands.append((member, known, digest, answer, first, count, recorded_us))
        for snapshot in append.snapshots:
            self._snapshots.append((member, *snapshot))


def conflict(append: Append, standing: Sequence[int]) -> VersionConflict | None:
    """The first stream of an append that does not stand where it was expected, as an error."""
    for (stream, expected, _), actual in zip(append.streams, standing, strict=True):
        if expected not in (actual, -1):
            return VersionConflict(
                f"the stream {stream!r} is at version {actual}, not {expected}: somebody else was "
                "first. Read it again and decide again.",
                stream=stream,
                expected=expected,
                actual=actual,
            )
    return None


def repeated(record: CommandRecord) -> Appended:
    """The outcome of an append whose command id was known."""
    return Appended(record.first, record.events, record)


def _refusals(
    known: Sequence[int], violated: Sequence[int], violation: Sequence[int]
) -> dict[int, AppendConditionFailed | None]:
    refusals: dict[int, AppendConditionFailed | None] = {
        member: AppendConditionFailed(
            f"the append condition forbids the event at position {position}. Read the events it "
            "names again and decide again.",
            position=position,
        )
        for member, position in zip(violated, violation, strict=True)
    }
    return refusals | dict.fromkeys(known)


def _short(column: list[int]) -> list[int]:
    """A column; one number where it is the same for all: numbers are dear to encode."""
    return column[:1] if len(set(column)) == 1 else column


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> Sequence[Any]:
    return tuple(zip(*rows, strict=True)) if rows else (None,) * width
