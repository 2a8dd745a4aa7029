"""Event logs that are broken on purpose, each in its own way.

They stand in front of a right log and spoil what passes through. `breaks` names the guarantees that
the suite must find broken.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import msgspec

from diptych.errors import AppendConditionFailed, StoreUnavailable, VersionConflict
from diptych.events.condition import AppendCondition, EventFilter
from diptych.events.log import (
    ANY_VERSION,
    Append,
    Appended,
    CommandRecord,
    EventLog,
    EventToStore,
    Participant,
    Snapshot,
    StoredEvent,
    StreamAppend,
)

__all__ = ["FAULTY_LOGS", "SharedLog"]

_ALL = 1_000_000


class SharedLog:
    """No fault at all: another log, which closing this one does not close.

    Several of these share one log in memory as processes share a database; it shows that what the
    suite finds in the others is their own doing.
    """

    breaks: ClassVar[tuple[str, ...]] = ()
    volatile = False

    def __init__(self, inner: EventLog) -> None:
        self.inner = inner
        self._waiting: set[asyncio.Task[int]] = set()

    def again(self) -> EventLog:
        """The same data in a new object."""
        return type(self)(self.inner)

    @property
    def identity(self) -> str:
        """As the log's behind it, like everything that follows."""
        return self.inner.identity

    async def open(self) -> None:
        """See EventLog."""
        await self.inner.open()

    async def append(self, append: Append) -> Appended:
        """See EventLog."""
        return await self.inner.append(append)

    async def read(
        self, after: int, limit: int, filters: tuple[EventFilter, ...] = ()
    ) -> list[StoredEvent]:
        """See EventLog."""
        return await self.inner.read(after, limit, filters)

    async def read_stream(
        self, stream: str, after: int = 0, limit: int | None = None
    ) -> list[StoredEvent]:
        """See EventLog."""
        return await self.inner.read_stream(stream, after, limit)

    async def head(self) -> int:
        """See EventLog."""
        return await self.inner.head()

    async def wait(self, after: int) -> int:
        """See EventLog."""
        waiting = asyncio.ensure_future(self.inner.wait(after))
        self._waiting.add(waiting)
        try:
            await asyncio.wait([waiting])
            if waiting.cancelled():
                raise StoreUnavailable("the log was closed")
            return waiting.result()
        finally:
            waiting.cancel()
            self._waiting.discard(waiting)

    async def snapshot(self, stream: str) -> Snapshot | None:
        """See EventLog."""
        return await self.inner.snapshot(stream)

    async def command(self, command_id: str) -> CommandRecord | None:
        """See EventLog."""
        return await self.inner.command(command_id)

    def join(self, participant: Participant) -> None:
        """See EventLog."""
        self.inner.join(participant)

    async def close(self) -> None:
        """End who waits here; the log behind stays open for others."""
        for waiting in self._waiting:
            waiting.cancel()


class NoopLog(SharedLog):
    """Agrees to everything and does nothing."""

    breaks = ("G1", "G2", "G3", "G4", "G5", "G6", "G7", "G8", "G9", "G10", "G11")

    async def append(self, append: Append) -> Appended:
        """Answer something likely."""
        count = sum(len(stream.events) for stream in append.streams)
        return Appended(1 if count else 0, count)


class HalfwayLog(SharedLog):
    """Writes the streams of an append one after the other."""

    breaks = ("G1",)

    async def append(self, append: Append) -> Appended:
        """Let an append fail in the middle."""
        for stream in append.streams[:-1]:
            await self.inner.append(_changed(append, streams=(stream,), command=None))
        done = await self.inner.append(_changed(append, streams=append.streams[-1:]))
        count = sum(len(stream.events) for stream in append.streams)
        return Appended(done.last - count + 1 if count else 0, count, done.repeated)


class StuckLog(SharedLog):
    """Takes appends in turn, and is stuck when one that has its turn is cancelled."""

    breaks = ("G1", "G8")
    _busy = False

    async def append(self, append: Append) -> Appended:
        """Forget that cancelling raises, too."""
        while self._busy:
            await asyncio.sleep(0)
        self._busy = True
        try:
            await asyncio.sleep(0)
            appended = await self.inner.append(append)
        except Exception:
            self._busy = False
            raise
        self._busy = False
        return appended


class AfterthoughtLog(SharedLog):
    """Asks participants when the events are already committed."""

    breaks = ("G1", "G8")

    def __init__(self, inner: EventLog) -> None:
        super().__init__(inner)
        self._participants: list[Participant] = []

    def join(self, participant: Participant) -> None:
        """Keep it for later."""
        self._participants.append(participant)

    async def append(self, append: Append) -> Appended:
        """Commit, then ask."""
        appended = await self.inner.append(append)
        events = await self.inner.read(0, _ALL)
        for participant in self._participants:
            participant.join(_Afterthought(events), len(events))
        return appended


class _Afterthought:
    """A transaction that is over."""

    handle: Any = None

    def __init__(self, events: list[StoredEvent]) -> None:
        self._events = events

    def read(self, after: int, limit: int) -> list[StoredEvent]:
        """What was committed."""
        return self._events[after : after + limit]


class LossyLog(SharedLog):
    """Acknowledges every third append without keeping it."""

    breaks = ("G2", "G3")
    _count = 0

    async def append(self, append: Append) -> Appended:
        """Lose some."""
        self._count += 1
        if self._count % 3:
            return await self.inner.append(append)
        count = sum(len(stream.events) for stream in append.streams)
        return Appended(await self.inner.head() + 1 if count else 0, count)


class CachingLog(SharedLog):
    """Shows its own appends to itself, and never gets to the disk."""

    breaks = ("G2", "G5", "G9")

    def again(self) -> EventLog:
        """Nothing is found by the next."""
        return type(self)(type(self.inner)())


class GappyLog(SharedLog):
    """Takes positions from a sequence, which a failed append does not give back."""

    breaks = ("G3",)

    def __init__(self, inner: EventLog) -> None:
        super().__init__(inner)
        self._burnt: list[int] = []

    async def append(self, append: Append) -> Appended:
        """Burn a position on every failure."""
        try:
            done = await self.inner.append(append)
        except Exception:
            self._burnt.append(await self.inner.head())
            raise
        return done._replace(first=self._shown(done.first)) if done.count else done

    async def read(
        self, after: int, limit: int, filters: tuple[EventFilter, ...] = ()
    ) -> list[StoredEvent]:
        """Show the positions of the sequence."""
        events = await self.inner.read(0, _ALL, filters)
        shown = [event._replace(position=self._shown(event.position)) for event in events]
        return [event for event in shown if event.position > after][:limit]

    async def head(self) -> int:
        """Show the last position of the sequence."""
        return self._shown(await self.inner.head())

    def _shown(self, position: int) -> int:
        return position + sum(burnt < position for burnt in self._burnt)


class ReorderingLog(SharedLog):
    """Reads two neighbours in the wrong order now and then."""

    breaks = ("G3",)

    async def read(
        self, after: int, limit: int, filters: tuple[EventFilter, ...] = ()
    ) -> list[StoredEvent]:
        """Swap the last two."""
        events = await self.inner.read(after, limit, filters)
        return [*events[:-2], *events[:-3:-1]]


class RacingLog(SharedLog):
    """Gives positions before committing, so that a later one can be seen before an earlier one."""

    breaks = ("G3",)

    def __init__(self, inner: EventLog) -> None:
        super().__init__(inner)
        self._uncommitted: set[int] = set()

    async def append(self, append: Append) -> Appended:
        """Commit a little later, some appends later than others."""
        appended = await self.inner.append(append)
        mine = set(range(appended.first, appended.first + appended.count))
        self._uncommitted |= mine
        for _ in range(appended.first % 3):
            await asyncio.sleep(0)
        self._uncommitted -= mine
        return appended

    async def read(
        self, after: int, limit: int, filters: tuple[EventFilter, ...] = ()
    ) -> list[StoredEvent]:
        """Show what is committed."""
        events = await self.inner.read(after, _ALL, filters)
        return [event for event in events if event.position not in self._uncommitted][:limit]


class PositionsAsVersionsLog(SharedLog):
    """Takes the position for the version: ascending, but not dense."""

    breaks = ("G4",)

    async def read_stream(
        self, stream: str, after: int = 0, limit: int | None = None
    ) -> list[StoredEvent]:
        """Show positions."""
        events = await self.inner.read_stream(stream, after, limit)
        return [event._replace(version=event.position) for event in events]


class VersionBlindLog(SharedLog):
    """Never looks at the expected version."""

    breaks = ("G5",)

    async def append(self, append: Append) -> Appended:
        """Expect anything."""
        return await self.inner.append(_at_any_version(append))


class CheckThenActLog(SharedLog):
    """Checks everything, and writes when what it checked may no longer be true."""

    breaks = ("G5", "G6", "G7")

    def __init__(self, inner: EventLog, records: dict[str, CommandRecord] | None = None) -> None:
        super().__init__(inner)
        self._records = {} if records is None else records

    def again(self) -> EventLog:
        """Another one that does not lock."""
        return type(self)(self.inner, self._records)

    async def command(self, command_id: str) -> CommandRecord | None:
        """Answer what was recorded."""
        return self._records.get(command_id)

    async def append(self, append: Append) -> Appended:
        """Look, wait, write."""
        known = append.command and self._records.get(append.command.command_id)
        if known:
            return Appended(known.first, known.count, known)
        await self._look(append)
        await asyncio.sleep(0)
        blind = _changed(_at_any_version(append), condition=None, command=None)
        done = await self.inner.append(blind)
        if append.command is not None:
            record = append.command._replace(first=done.first, count=done.count)
            self._records[record.command_id] = record
        return done

    async def _look(self, append: Append) -> None:
        for name, expected, _ in append.streams:
            actual = len(await self.inner.read_stream(name))
            if expected not in (ANY_VERSION, actual):
                facts = {"stream": name, "expected": expected, "actual": actual}
                raise VersionConflict("too late", **facts)
        if append.condition is not None:
            condition = append.condition
            events = await self.inner.read(condition.after, 1, condition.filters)
            if events:
                raise AppendConditionFailed("too late", position=events[0].position)


class ConditionBlindLog(SharedLog):
    """Never looks at append conditions."""

    breaks = ("G6",)

    async def append(self, append: Append) -> Appended:
        """Drop the condition."""
        return await self.inner.append(_changed(append, condition=None))


class TagBlindLog(SharedLog):
    """Looks at the types of a condition and not at its tags: fails too often."""

    breaks = ("G6",)

    async def append(self, append: Append) -> Appended:
        """Forget tags."""
        if append.condition is None:
            return await self.inner.append(append)
        filters = tuple(EventFilter(one.types) for one in append.condition.filters)
        condition = AppendCondition(filters, append.condition.after)
        return await self.inner.append(_changed(append, condition=condition))


class FirstFilterLog(SharedLog):
    """Looks at the first filter of a condition only."""

    breaks = ("G6",)

    async def append(self, append: Append) -> Appended:
        """Drop the other filters."""
        if append.condition is None:
            return await self.inner.append(append)
        condition = AppendCondition(append.condition.filters[:1], append.condition.after)
        return await self.inner.append(_changed(append, condition=condition))


class ForgetfulCommandsLog(SharedLog):
    """Does not remember commands."""

    breaks = ("G7",)

    async def append(self, append: Append) -> Appended:
        """Drop the record."""
        return await self.inner.append(_changed(append, command=None))


class SharedFateLog(SharedLog):
    """Commits appends in groups; when one of them fails, so do those that come after it."""

    breaks = ("G8",)

    def __init__(self, inner: EventLog) -> None:
        super().__init__(inner)
        self._group: list[tuple[Append, asyncio.Future[Appended]]] = []

    async def append(self, append: Append) -> Appended:
        """Wait for a group, and let its first member commit it."""
        future: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        self._group.append((append, future))
        if len(self._group) == 1:
            asyncio.get_running_loop().call_soon(asyncio.ensure_future, self._commit())
        return await future

    async def _commit(self) -> None:
        group, self._group = self._group, []
        failure: Exception | None = None
        for append, future in group:
            if failure is None:
                try:
                    appended = await self.inner.append(append)
                except Exception as error:  # noqa: BLE001  whatever it is, it is passed on
                    failure = error
            if future.cancelled():
                continue
            if failure is None:
                future.set_result(appended)
            else:
                future.set_exception(failure)


class ImpatientLog(SharedLog):
    """Does not wait."""

    breaks = ("G9",)

    async def wait(self, after: int) -> int:
        """Answer at once."""
        return await self.inner.head()


class DeafLog(SharedLog):
    """Hears of its own appends only."""

    breaks = ("G9",)

    def __init__(self, inner: EventLog) -> None:
        super().__init__(inner)
        self._heard = asyncio.Event()

    async def append(self, append: Append) -> Appended:
        """Tell those who wait here."""
        appended = await self.inner.append(append)
        self._heard.set()
        self._heard = asyncio.Event()
        return appended

    async def wait(self, after: int) -> int:
        """Listen here."""
        while (head := await self.inner.head()) <= after:
            await self._heard.wait()
        return head


class NormalizingLog(SharedLog):
    """Keeps JSON as a database would that understands it: the same facts in other bytes."""

    breaks = ("G10",)

    async def append(self, append: Append) -> Appended:
        """Write JSON anew."""
        streams = tuple(
            stream._replace(events=tuple(map(_normalized, stream.events)))
            for stream in append.streams
        )
        return await self.inner.append(_changed(append, streams=streams))


class CompactingLog(SharedLog):
    """Empties old events of a stream when newer ones are there."""

    breaks = ("G10",)

    async def read(
        self, after: int, limit: int, filters: tuple[EventFilter, ...] = ()
    ) -> list[StoredEvent]:
        """Show old events without their meta data."""
        events = await self.inner.read(after, limit, filters)
        head = await self.inner.head()
        return [one._replace(meta=b"{}") if one.position <= head - 4 else one for one in events]


class LatestSnapshotLog(SharedLog):
    """Keeps the snapshot that came last, though it may be older."""

    breaks = ("G11",)

    def __init__(self, inner: EventLog) -> None:
        super().__init__(inner)
        self._snapshots: dict[str, Snapshot] = {}

    async def append(self, append: Append) -> Appended:
        """Replace whatever is there."""
        appended = await self.inner.append(append)
        self._snapshots |= {snapshot.stream: snapshot for snapshot in append.snapshots}
        return appended

    async def snapshot(self, stream: str) -> Snapshot | None:
        """Answer the last."""
        return self._snapshots.get(stream)


def _changed(append: Append, **changes: Any) -> Append:
    return msgspec.structs.replace(append, **changes)


def _at_any_version(append: Append) -> Append:
    streams = (StreamAppend(name, ANY_VERSION, events) for name, _, events in append.streams)
    return _changed(append, streams=tuple(streams))


def _normalized(event: EventToStore) -> EventToStore:
    try:
        return event._replace(data=msgspec.json.format(event.data, indent=-1))
    except msgspec.DecodeError:
        return event


FAULTY_LOGS: tuple[type[SharedLog], ...] = tuple(SharedLog.__subclasses__())
"""Every faulty log there is."""
