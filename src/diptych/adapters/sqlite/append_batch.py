"""Many appends in one transaction: each is checked on its own, the good ones are written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import apsw
import msgspec

from diptych.adapters.sqlite.jobs import AppendJob
from diptych.adapters.sqlite.matching import NO_END, positions_matching
from diptych.adapters.sqlite.statements import ChunkedInsert, all_rows, sql
from diptych.errors import AppendConditionFailed, DiptychError, VersionConflict
from diptych.events.condition import AppendCondition, EventFilter
from diptych.events.log import ANY_VERSION, Appended, CommandRecord, EventToStore, StreamAppend

__all__ = ["AppendBatch"]

_EVENTS = ChunkedInsert(
    "INSERT INTO events (position, origin, version, stream, type, schema, data, meta, recorded_at)",
    9,
)
_STREAMS = ChunkedInsert("INSERT INTO streams (stream, origin)", 2)
_TAGS = ChunkedInsert("INSERT INTO event_tags (tag, position)", 2)
_COMMANDS = ChunkedInsert("INSERT INTO commands (id, digest, answer, first, count, recorded_at)", 6)
# The same version again, in a newer shape, replaces: after an upgrade states are stored anew.
_SNAPSHOTS = ChunkedInsert(
    "INSERT INTO snapshots (stream, version, schema, state)",
    4,
    "ON CONFLICT (stream) DO UPDATE SET version = excluded.version, schema = excluded.schema,"
    " state = excluded.state WHERE excluded.version >= snapshots.version",
)
_encode = msgspec.json.Encoder().encode
_decode_standing = msgspec.json.Decoder(list[tuple[int, int] | None]).decode


class AppendBatch:
    """The appends of one transaction, which holds the write lock.

    An append is checked against the log as it stands, including the appends accepted before it in
    the same batch. Checking writes nothing; `write` writes all that was accepted.
    """

    def __init__(self, cursor: apsw.Cursor, jobs: Sequence[AppendJob]) -> None:
        self._cursor = cursor
        names = list(dict.fromkeys(s.stream for job in jobs for s in job.append.streams))
        head, standing = all_rows(
            cursor, sql("select_head_and_versions"), (_encode(names).decode(),)
        )[0]
        self.head: int = head
        self.grown = False
        # Origin and version of each stream, as of the last append accepted.
        self._streams = dict(zip(names, _decode_standing(standing), strict=True))
        self._commands = self._known_commands(jobs)
        self._watch = _Watch() if any(job.append.condition for job in jobs) else None
        self._events: list[Any] = []
        self._new_streams: list[Any] = []
        self._tags: list[Any] = []
        self._new_commands: list[Any] = []
        self._snapshots: list[Any] = []

    def accept(self, job: AppendJob) -> Appended | DiptychError:
        """Take an append in and say where it went, or say why it cannot be."""
        append = job.append
        if append.command is not None:
            known = self._commands.get(append.command.command_id)
            if known is not None:
                return Appended(known.first, known.events, known)
        refusal = self._conflict(append.streams) or (
            self._violation(append.condition) if append.condition is not None else None
        )
        if refusal is not None:
            return refusal
        before = self.head
        for stream in append.streams:
            self._add_events(stream, job.recorded_us)
        for snapshot in append.snapshots:
            self._snapshots += snapshot
        count = self.head - before
        first = before + 1 if count else 0
        if append.command is not None:
            self._add_command(append.command._replace(first=first, events=count), job.recorded_us)
        return Appended(first, count)

    def write(self) -> None:
        """Write everything that was accepted, in as few statements as possible."""
        cursor = self._cursor
        if self._new_streams:
            _STREAMS.run(cursor, self._new_streams)
        if self._events:
            _EVENTS.run(cursor, self._events)
            self.grown = True
        if self._tags:
            _TAGS.run(cursor, self._tags)
        if self._new_commands:
            _COMMANDS.run(cursor, self._new_commands)
        if self._snapshots:
            _SNAPSHOTS.run(cursor, self._snapshots)

    def _known_commands(self, jobs: Iterable[AppendJob]) -> dict[str, CommandRecord]:
        ids = [job.append.command.command_id for job in jobs if job.append.command is not None]
        if not ids:
            return {}
        found = all_rows(self._cursor, sql("select_commands"), (_encode(ids).decode(),))
        return {row[0]: CommandRecord._make(row) for row in found}

    def _conflict(self, streams: Sequence[StreamAppend]) -> VersionConflict | None:
        for name, expected, _ in streams:
            standing = self._streams[name]
            actual = standing[1] if standing else 0
            if expected not in (actual, ANY_VERSION):
                return VersionConflict(
                    f"the stream {name!r} is at version {actual}, not {expected}: somebody else "
                    "was first. Read it again and decide again.",
                    stream=name,
                    expected=expected,
                    actual=actual,
                )
        return None

    def _violation(self, condition: AppendCondition) -> AppendConditionFailed | None:
        if not condition.filters:
            return None
        select, parameters = positions_matching(condition.filters, condition.after, NO_END)
        found = all_rows(self._cursor, f"{select} LIMIT 1", parameters)
        position: int | None = found[0][0] if found else None
        if position is None and self._watch is not None:
            position = self._watch.first_matching(condition)
        if position is None:
            return None
        return AppendConditionFailed(
            f"the append condition forbids the event at position {position}. Read the events it "
            "names again and decide again.",
            position=position,
        )

    def _add_events(self, stream: StreamAppend, recorded_us: int) -> None:
        name, _, events = stream
        if not events:
            return
        position = self.head
        standing = self._streams[name]
        if standing is None:
            standing = (position + 1, 0)
            self._new_streams += (name, position + 1)
        origin, version = standing
        for event in events:
            position += 1
            version += 1
            kind, schema, data, meta, tags = event
            self._events += (position, origin, version, name, kind, schema, data, meta, recorded_us)
            for tag in dict.fromkeys(tags):
                self._tags += (tag, position)
            if self._watch is not None:
                self._watch.add(position, event)
        self.head, self._streams[name] = position, (origin, version)

    def _add_command(self, record: CommandRecord, recorded_us: int) -> None:
        self._commands[record.command_id] = record
        self._new_commands += (*record, recorded_us)


class _Watch:
    """The events of a batch by type and tag, for conditions of later members."""

    def __init__(self) -> None:
        self._all: list[tuple[int, EventToStore]] = []
        self._by_type: dict[str, list[tuple[int, EventToStore]]] = {}
        self._by_tag: dict[str, list[tuple[int, EventToStore]]] = {}

    def add(self, position: int, event: EventToStore) -> None:
        entry = (position, event)
        self._all.append(entry)
        self._by_type.setdefault(event.type, []).append(entry)
        for tag in event.tags:
            self._by_tag.setdefault(tag, []).append(entry)

    def first_matching(self, condition: AppendCondition) -> int | None:
        for wanted in condition.filters:
            for position, event in self._candidates(wanted):
                if position > condition.after and wanted.matches(event.type, event.tags):
                    return position
        return None

    def _candidates(self, wanted: EventFilter) -> Iterable[tuple[int, EventToStore]]:
        if wanted.tags:
            return self._by_tag.get(wanted.tags[0], ())
        if wanted.types:
            return (entry for kind in wanted.types for entry in self._by_type.get(kind, ()))
        return self._all
