"""A log and a read store that commit together: the capability INLINE (G1 and G8 of the log)."""

# ruff: noqa: D102  the name of a test is its sentence

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Protocol, cast

import pytest

from diptych.errors import CheckpointMoved, LeaseLost, VersionConflict
from diptych.events.log import Append, Appended, EventLog, LogTransaction
from diptych.queries.parked import Parked
from diptych.queries.read_model import ReadModel, shape_of
from diptych.queries.read_store import (
    Capability,
    Change,
    InlineRows,
    Loaded,
    ReadStore,
    Row,
    TableSpec,
)
from diptych.testing.contract.event_log.words import (
    EVERYTHING,
    Vetoed,
    add,
    assert_dense,
    everything,
    fact,
    numbers,
    snapshot,
    to,
)
from diptych.testing.contract.suite import Contract, losers, outcomes, refusal

__all__ = ["InlineContract", "Pair"]


class Tally(ReadModel, key="stream"):
    """What became of one stream: how many events, and the sum of their numbers."""

    stream: str
    events: int = 0
    total: int = 0


TALLIES = TableSpec("tallies", "1", shape_of(Tally))
STREAMS = [*"abcdefgh", "taken", *(f"s-{number}" for number in range(30))]


class Inline(Protocol):
    """A read store with the capability INLINE."""

    def within(self, handle: Any) -> InlineRows:
        """The store within the transaction of an event log."""


class Pair(NamedTuple):
    """A log, and a read store in the same database."""

    log: EventLog
    store: ReadStore


class Tallying:
    """An inline projection as simple as it gets; it refuses events of the type Unwanted."""

    def __init__(self, store: ReadStore) -> None:
        self.store = cast("Inline", store)

    async def join(self, transaction: LogTransaction, head: int) -> None:
        """Fold what is new, write it, and only then look whether it was wanted."""
        rows = self.store.within(transaction.handle)
        checkpoint = (await rows.load("tallies", [])).checkpoint
        events = await transaction.read(checkpoint, EVERYTHING)
        assert [event.position for event in events] == list(range(checkpoint + 1, head + 1)), (
            "a participant has to be shown every event up to the head, once"
        )
        loaded = (await rows.load("tallies", [event.stream for event in events])).rows
        tallies = {key: row.value for key, row in loaded.items()}
        for event, number in zip(events, numbers(events), strict=True):
            tally = tallies.setdefault(event.stream, Tally(event.stream))
            tally.events += 1
            tally.total += number
        new = [Row(key, head, tally) for key, tally in tallies.items()]
        await rows.apply([Change("tallies", checkpoint, head, new)])
        written = (await rows.load("tallies", list(tallies))).rows
        assert written == {row.key: row for row in new}, (
            "within a transaction, its own writes are to be seen"
        )
        if any(event.type == "Unwanted" for event in events):
            raise Vetoed


class Stubborn:
    """A participant whose change is stale, as a second runner's would be."""

    def __init__(self, store: ReadStore) -> None:
        self.store = cast("Inline", store)

    async def join(self, transaction: LogTransaction, head: int) -> None:
        """Apply a change that does not fit the checkpoint."""
        await self.store.within(transaction.handle).apply([Change("tallies", head + 7, head + 8)])


class Parks:
    """A participant that parks every last event of an append for its stream."""

    def __init__(self, store: ReadStore) -> None:
        self.store = cast("Inline", store)
        self.epoch: int | None = None

    async def join(self, transaction: LogTransaction, head: int) -> None:
        """Park what others have folded."""
        (last,) = await transaction.read(head - 1, 1)
        entry = Parked(last.stream, head, last.stream, last.type)
        rows = self.store.within(transaction.handle)
        await rows.apply([Change("tallies", head, head, epoch=self.epoch, parked=[entry])])
        assert (await rows.checkpoint("tallies")).parks, "a transaction sees what it wrote"


class InlineContract(Contract):
    """Rows and events commit together or not at all. Enrol a pair with one method:

    ```python
    class TestMyInline(InlineContract):
        async def make_pair(self) -> Pair:
            file = self.folder / "both.db"
            return Pair(MyEventLog(file), MyReadStore(file))
    ```
    """

    async def make_pair(self) -> Pair:
        """A new, empty log and a new, empty read store in the same database, not yet open."""
        raise NotImplementedError

    @asynccontextmanager
    async def subject(self) -> AsyncIterator[Pair]:
        """A pair, open, and joined by an inline projection."""
        log, store = await self.make_pair()
        assert Capability.INLINE in store.capabilities, "the store does not declare INLINE"
        await log.open()
        await store.open([TALLIES])
        log.join(Tallying(store))
        try:
            yield Pair(log, store)
        finally:
            await log.close()
            await store.close()

    @pytest.fixture
    async def pair(self) -> AsyncIterator[Pair]:
        """What each test judges."""
        async with self.subject() as pair:
            yield pair

    async def test_g1_rows_are_there_when_the_append_returns(self, pair: Pair) -> None:
        await pair.log.append(add("a", fact(3), fact(4)))
        await pair.log.append(Append(streams=(to("a", fact(5)), to("b", fact(6)))))
        loaded = await pair.store.load("tallies", ["a", "b"])
        assert loaded == Loaded(
            4, {"a": Row("a", 4, Tally("a", 3, 12)), "b": Row("b", 4, Tally("b", 1, 6))}
        )
        assert (await pair.store.checkpoint("tallies")).fingerprint == "1"

    async def test_g1_a_conflict_writes_no_rows(self, pair: Pair) -> None:
        await pair.log.append(add("a", fact(1)))
        before = await pair.store.load("tallies", STREAMS)
        both = Append(streams=(to("b", fact(2)), to("a", fact(3), expected=0)))
        await refusal(VersionConflict, pair.log.append(both), "a is at 1")
        assert await pair.store.load("tallies", STREAMS) == before
        await self._check(pair)

    async def test_g1_what_a_refusing_participant_wrote_is_taken_back(self, pair: Pair) -> None:
        await pair.log.append(add("a", fact(1)))
        before = await pair.store.load("tallies", STREAMS)
        unwanted = Append(
            streams=(to("a", fact(2)), to("b", fact(3, "Unwanted"))),
            snapshots=(snapshot("a", 2),),
        )
        await refusal(Vetoed, pair.log.append(unwanted), "a participant refused it")
        assert await pair.store.load("tallies", STREAMS) == before, "rows without their events"
        assert await pair.log.head() == 1, "events without their rows"
        assert await pair.log.snapshot("a") is None
        await pair.log.append(add("b", fact(4), expected=0))
        await self._check(pair)

    async def test_g1_a_refusal_takes_back_the_rows_of_every_participant(self, pair: Pair) -> None:
        await pair.log.append(add("a", fact(1)))
        before = await pair.store.load("tallies", STREAMS)
        pair.log.join(Stubborn(pair.store))
        await refusal(CheckpointMoved, pair.log.append(add("a", fact(2))), "the fence holds inline")
        assert await pair.store.load("tallies", STREAMS) == before
        assert await pair.log.head() == 1

    async def test_g1_what_is_parked_shares_the_fate_of_the_append(self, pair: Pair) -> None:
        parks = Parks(pair.store)
        pair.log.join(parks)
        await pair.log.append(add("a", fact(1)))
        before = await pair.store.parked("tallies")
        assert [(one.key, one.position) for one in before] == [("a", 1)]
        parks.epoch = 3
        await refusal(LeaseLost, pair.log.append(add("a", fact(2))), "nobody owns tallies")
        parks.epoch = None
        pair.log.join(Stubborn(pair.store))
        await refusal(CheckpointMoved, pair.log.append(add("b", fact(3))), "one is stubborn")
        assert await pair.store.parked("tallies") == before
        assert await pair.log.head() == 1
        await self._check(pair)

    async def test_g1_nobody_sees_rows_without_events_or_events_without_rows(
        self, pair: Pair
    ) -> None:
        async def write() -> None:
            for number in range(40):
                await pair.log.append(add(STREAMS[number % 3], fact(number)))
                await asyncio.sleep(0)

        async def watch() -> None:
            head = 0
            while head < 40:
                head = await pair.log.head()
                checkpoint, _ = await pair.store.load("tallies", [])
                assert checkpoint >= head, f"the head is {head}, and rows are only at {checkpoint}"
                assert await pair.log.head() >= checkpoint, "rows of events that are not there"
                await asyncio.sleep(0)

        work = [asyncio.create_task(one) for one in (write(), watch(), watch())]
        try:
            await self.soon(asyncio.gather(*work), "watching forty appends")
        finally:
            for task in work:
                task.cancel()
            await outcomes(work)

    async def test_g8_a_refused_neighbour_leaves_the_rows_of_others(self, pair: Pair) -> None:
        appends = [
            add(f"s-{number}", fact(number, "Counted" if number % 3 else "Unwanted"))
            for number in range(30)
        ]
        results = await self.soon(outcomes(map(pair.log.append, appends)), "thirty appends")
        for number, result in enumerate(results):
            wanted = Appended if number % 3 else Vetoed
            assert isinstance(result, wanted), f"append {number} should give {wanted}: {result!r}"
        assert await pair.log.head() == 20
        await self._check(pair)

    async def test_g8_each_event_is_folded_once_whoever_appends(self, pair: Pair) -> None:
        await pair.log.append(add("taken", fact(1)))
        appends = [
            add("taken", fact(number), expected=0)
            if number % 5 == 0
            else add(STREAMS[number % 4], fact(number), fact(number))
            for number in range(60)
        ]
        results = await self.soon(outcomes(map(pair.log.append, appends)), "sixty appends")
        assert len(losers(results, VersionConflict)) == 12
        await self._check(pair)

    async def _check(self, pair: Pair) -> None:
        """Rows are what folding the log gives, and stand at its head."""
        events = await everything(pair.log)
        assert_dense(events)
        folded: dict[str, Tally] = {}
        for event, number in zip(events, numbers(events), strict=True):
            tally = folded.setdefault(event.stream, Tally(event.stream))
            tally.events += 1
            tally.total += number
        checkpoint, rows = await pair.store.load("tallies", STREAMS)
        assert {key: row.value for key, row in rows.items()} == folded
        assert checkpoint == len(events), "the rows do not stand at the head of the log"
