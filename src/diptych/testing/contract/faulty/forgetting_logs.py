"""Event logs that keep or show something else than they were given."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from diptych.events.condition import EventFilter
from diptych.events.log import (
    Append,
    Appended,
    EventLog,
    EventToStore,
    Participant,
    Snapshot,
    StoredEvent,
)
from diptych.testing.contract.faulty.shared import SharedLog, changed

__all__ = [
    "AfterthoughtLog",
    "CachingLog",
    "CompactingLog",
    "DeafLog",
    "GappyLog",
    "HalfwayLog",
    "ImpatientLog",
    "LatestSnapshotLog",
    "LossyLog",
    "NoopLog",
    "NormalizingLog",
    "PositionsAsVersionsLog",
    "RacingLog",
    "ReorderingLog",
    "StuckLog",
]


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
            await self.inner.append(changed(append, streams=(stream,), command=None))
        done = await self.inner.append(changed(append, streams=append.streams[-1:]))
        count = sum(len(stream.events) for stream in append.streams)
        return Appended(done.last - count + 1 if count else 0, count, done.repeated)


class StuckLog(SharedLog):
    """Takes appends in turn, and is stuck when one that has its turn is cancelled."""

    breaks = ("G1", "G8")
    _busy = False

    async def append(self, append: Append) -> Appended:
        """Forget that cancelling raises, too."""
        while self._busy:  # noqa: ASYNC110  it is a bad lock: that is the point
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
        events = await self.inner.read(0, 1_000_000)
        for participant in self._participants:
            await participant.join(_Afterthought(events), len(events))
        return appended


class _Afterthought:
    """A transaction that is over."""

    handle: Any = None

    def __init__(self, events: list[StoredEvent]) -> None:
        self._events = events

    async def read(self, after: int, limit: int) -> list[StoredEvent]:
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
        return done._replace(first=self._shown(done.first)) if done.events else done

    async def read(
        self, after: int, limit: int, filters: tuple[EventFilter, ...] = ()
    ) -> list[StoredEvent]:
        """Show the positions of the sequence."""
        events = await self.inner.read(0, 1_000_000, filters)
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
        mine = set(range(appended.first, appended.first + appended.events))
        self._uncommitted |= mine
        for _ in range(appended.first % 3):
            await asyncio.sleep(0)
        self._uncommitted -= mine
        return appended

    async def read(
        self, after: int, limit: int, filters: tuple[EventFilter, ...] = ()
    ) -> list[StoredEvent]:
        """Show what is committed."""
        events = await self.inner.read(after, 1_000_000, filters)
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
        return await self.inner.append(changed(append, streams=streams))


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


def _normalized(event: EventToStore) -> EventToStore:
    try:
        return event._replace(data=msgspec.json.format(event.data, indent=-1))
    except msgspec.DecodeError:
        return event
