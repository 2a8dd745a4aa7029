"""The event log in memory."""

from __future__ import annotations

import asyncio
import heapq
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from diptych.adapters.memory.transaction import Undo
from diptych.environment import Environment
from diptych.errors import (
    AppendConditionFailed,
    ConfigurationError,
    StoreUnavailable,
    VersionConflict,
)
from diptych.events.condition import AppendCondition, EventFilter
from diptych.events.log import (
    ANY_VERSION,
    Append,
    Appended,
    CommandRecord,
    Participant,
    Snapshot,
    StoredEvent,
    StreamAppend,
)
from diptych.events.obstacle import Obstacle
from diptych.events.run_through import run_through

__all__ = ["MemoryEventLog"]


class MemoryEventLog:
    """An EventLog that keeps every guarantee of its port for as long as it is open.

    Not durable: `close` forgets everything, and two objects never share events.

    >>> log = MemoryEventLog()
    """

    volatile = True

    def __init__(self, *, environment: Environment | None = None) -> None:
        self._environment = environment or Environment()
        self._identity = f"memory-{self._environment.new_id()}"
        self._open = False
        self._participants: list[Participant] = []
        self._grown = asyncio.Event()
        self._forget_everything()

    @property
    def identity(self) -> str:
        """Name of this log; every MemoryEventLog has its own."""
        return self._identity

    def describe(self) -> dict[str, str]:
        """Memory; nothing survives the process."""
        return {"adapter": "memory", "survives": "nothing"}

    async def open(self) -> None:
        """Make the log usable. Calling again does nothing."""
        self._open = True

    async def close(self) -> None:
        """Forget everything; those who wait get StoreUnavailable. Calling again does nothing."""
        self._open = False
        self._forget_everything()
        self._wake_those_who_wait()

    async def held_up_by(self) -> Obstacle | None:
        """Nothing: an append in memory waits for nobody."""
        return None

    def when_in_doubt(self, forget: Callable[[], None]) -> None:
        """Never: what is in memory is there, or all of it is gone."""

    def join(self, participant: Participant) -> None:
        """Let a participant commit with every append from now on."""
        self._participants.append(participant)

    async def append(self, append: Append) -> Appended:
        """Add to the log.

        Raises VersionConflict, AppendConditionFailed, and whatever a participant raises.
        """
        self._refuse_when_closed()
        known = append.command and self._commands.get(append.command.command_id)
        if known:
            return Appended(known.first, known.events, known)
        self._check_versions(append.streams)
        if append.condition is not None:
            self._check_condition(append.condition)
        undo = Undo()
        try:
            appended = self._write(append, undo)
            self._let_participants_join(undo)
        except BaseException:
            undo.run()
            raise
        self._wake_those_who_wait()
        # Others get a turn, as with every store that has to wait for something.
        await asyncio.sleep(0)
        return appended

    async def append_within(self, transaction: Any, append: Append) -> Appended:
        """Raises ConfigurationError: nobody else writes to this memory in transactions."""
        raise ConfigurationError(
            "the log in memory cannot take part in another transaction. Keep it in the database "
            'that the transaction writes to: write="sqlite:///..." or "postgresql://...".'
        )

    async def read(
        self, after: int, limit: int, filters: tuple[EventFilter, ...] = ()
    ) -> list[StoredEvent]:
        """Up to `limit` events with position > `after` that match one of `filters` (none: all)."""
        self._refuse_when_closed()
        return self._read(after, limit, filters)

    async def read_stream(
        self, stream: str, after: int = 0, limit: int | None = None
    ) -> list[StoredEvent]:
        """Events of one stream with version > `after`."""
        self._refuse_when_closed()
        end = None if limit is None else after + limit
        return self._streams.get(stream, [])[after:end]

    async def head(self) -> int:
        """The highest position."""
        self._refuse_when_closed()
        return len(self._events)

    async def wait(self, after: int) -> int:
        """Return the head as soon as it is greater than `after`."""
        self._refuse_when_closed()
        while len(self._events) <= after:
            await self._grown.wait()
            self._refuse_when_closed()
        return len(self._events)

    async def snapshot(self, stream: str) -> Snapshot | None:
        """The snapshot of a stream, if there is one."""
        self._refuse_when_closed()
        return self._snapshots.get(stream)

    async def command(self, command_id: str) -> CommandRecord | None:
        """The first answer to a command id, if it was recorded."""
        self._refuse_when_closed()
        return self._commands.get(command_id)

    # --- checking: nothing is written before everything was checked ---

    def _refuse_when_closed(self) -> None:
        if not self._open:
            raise StoreUnavailable("the memory log is not open: call `await log.open()` first.")

    def _check_versions(self, streams: Sequence[StreamAppend]) -> None:
        if len({stream.stream for stream in streams}) < len(streams):
            names = ", ".join(stream.stream for stream in streams)
            raise ConfigurationError(
                f"an append names a stream twice: {names}. Put the events of a stream into one "
                "StreamAppend."
            )
        for name, expected, _ in streams:
            actual = len(self._streams.get(name, ()))
            if expected not in (ANY_VERSION, actual):
                raise VersionConflict(
                    f"the stream {name!r} is at version {actual}, not {expected}: somebody else "
                    "was first. Read it again and decide again.",
                    stream=name,
                    expected=expected,
                    actual=actual,
                )

    def _check_condition(self, condition: AppendCondition) -> None:
        for position in self._matching(condition.filters, condition.after):
            event = self._events[position - 1]
            raise AppendConditionFailed(
                f"the append condition forbids {event.type} at position {position} (stream "
                f"{event.stream!r}). Read the events it names again and decide again.",
                position=position,
            )

    # --- writing ---

    def _write(self, append: Append, undo: Undo) -> Appended:
        before = len(self._events)
        undo.add(lambda: self._cut_back_to(before))
        recorded_us = append.recorded_us or self._environment.time_us()
        for stream in append.streams:
            self._write_stream(stream, recorded_us)
        for snapshot in append.snapshots:
            self._write_snapshot(snapshot, undo)
        count = len(self._events) - before
        first = before + 1 if count else 0
        if append.command is not None:
            command_id = append.command.command_id
            undo.add(lambda: _put_back(self._commands, command_id, None))
            self._commands[command_id] = append.command._replace(first=first, events=count)
        return Appended(first, count)

    def _write_stream(self, stream: StreamAppend, recorded_us: int) -> None:
        for type_, schema, data, meta, tags in stream.events:
            history = self._streams.setdefault(stream.stream, [])
            position = len(self._events) + 1
            event = StoredEvent(
                position, stream.stream, len(history) + 1, type_, schema, data, meta, recorded_us
            )
            self._events.append(event)
            self._tags.append(tags)
            history.append(event)
            self._by_type.setdefault(type_, []).append(position)
            for tag in set(tags):
                self._by_tag.setdefault(tag, []).append(position)

    def _write_snapshot(self, snapshot: Snapshot, undo: Undo) -> None:
        kept = self._snapshots.get(snapshot.stream)
        # The same version again replaces it: after an upgrade its state has a new shape.
        if kept is None or snapshot.version >= kept.version:
            undo.add(lambda: _put_back(self._snapshots, snapshot.stream, kept))
            self._snapshots[snapshot.stream] = snapshot

    def _let_participants_join(self, undo: Undo) -> None:
        transaction = _Transaction(self._read, undo)
        for participant in self._participants:
            run_through(participant.join(transaction, len(self._events)))

    def _cut_back_to(self, head: int) -> None:
        while len(self._events) > head:
            event, tags = self._events.pop(), self._tags.pop()
            self._streams[event.stream].pop()
            if event.version == 1:
                del self._streams[event.stream]
            self._by_type[event.type].pop()
            for tag in set(tags):
                self._by_tag[tag].pop()

    def _wake_those_who_wait(self) -> None:
        # A new Event for the next ones: this one stays set, so nobody can miss it.
        self._grown.set()
        self._grown = asyncio.Event()

    def _forget_everything(self) -> None:
        self._events: list[StoredEvent] = []
        self._tags: list[tuple[str, ...]] = []
        self._streams: dict[str, list[StoredEvent]] = {}
        self._by_type: dict[str, list[int]] = {}
        self._by_tag: dict[str, list[int]] = {}
        self._snapshots: dict[str, Snapshot] = {}
        self._commands: dict[str, CommandRecord] = {}

    # --- reading ---

    def _read(
        self, after: int, limit: int, filters: tuple[EventFilter, ...] = ()
    ) -> list[StoredEvent]:
        if not filters:
            return self._events[after : after + limit]
        return [self._events[at - 1] for at in islice(self._matching(filters, after), limit)]

    def _matching(self, filters: tuple[EventFilter, ...], after: int) -> Iterator[int]:
        """Positions after `after` of events that match one of `filters`, ascending."""
        previous = 0
        for position in heapq.merge(*(self._matching_one(filter_, after) for filter_ in filters)):
            if position != previous:
                yield position
            previous = position

    def _matching_one(self, wanted: EventFilter, after: int) -> Iterator[int]:
        for position in self._candidates(wanted, after):
            if wanted.matches(self._events[position - 1].type, self._tags[position - 1]):
                yield position

    def _candidates(self, wanted: EventFilter, after: int) -> Iterable[int]:
        """Positions worth a look: those of the rarest tag, or else those of the types."""
        if wanted.tags:
            rarest = min((self._by_tag.get(tag, []) for tag in wanted.tags), key=len)
            return _above(rarest, after)
        if wanted.types:
            by_type = (self._by_type.get(type_, []) for type_ in set(wanted.types))
            return heapq.merge(*(_above(positions, after) for positions in by_type))
        return range(after + 1, len(self._events) + 1)


class _Transaction:
    """An append's transaction as a participant sees it; its handle is the Undo."""

    __slots__ = ("_read", "handle")

    def __init__(self, read: Callable[[int, int], list[StoredEvent]], undo: Undo) -> None:
        self._read = read
        self.handle: Any = undo

    async def read(self, after: int, limit: int) -> list[StoredEvent]:
        """As EventLog.read, including the events of this append."""
        return self._read(after, limit)


def _above(ascending: list[int], after: int) -> Iterator[int]:
    return (ascending[at] for at in range(bisect_right(ascending, after), len(ascending)))


def _put_back(kept: dict[str, Any], key: str, before: Any) -> None:
    if before is None:
        kept.pop(key, None)
    else:
        kept[key] = before
