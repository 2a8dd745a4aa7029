"""Positions and versions: dense, in commit order, and never shown too early (G3, G4)."""

# ruff: noqa: D102  the name of a test is its sentence

from __future__ import annotations

import asyncio
import random

from diptych.errors import VersionConflict
from diptych.events.condition import EventFilter
from diptych.events.log import Append, EventLog, StoredEvent
from diptych.testing.contract.event_log.words import (
    EVERYTHING,
    add,
    assert_dense,
    everything,
    fact,
    numbered,
    numbers,
    to,
)
from diptych.testing.contract.suite import Contract, losers, outcomes, winners

__all__ = ["Ordering"]

STREAMS = tuple(f"stream-{number}" for number in range(7))


class Ordering(Contract):
    """Tests of G3 (positions) and G4 (versions)."""

    async def test_g3_an_empty_log_has_head_0(self, log: EventLog) -> None:
        assert await log.head() == 0
        assert await everything(log) == []
        assert await log.read_stream("a") == []

    async def test_g3_positions_are_dense_in_commit_order(self, log: EventLog) -> None:
        for turn in range(12):
            appended = await log.append(add(STREAMS[turn % 5], fact(turn)))
            assert appended.first == turn + 1, "the next append has the next position"
            assert await log.head() == turn + 1
        events = await everything(log)
        assert_dense(events)
        assert numbers(events) == list(range(12))

    async def test_g3_positions_are_dense_among_concurrent_appends(self, log: EventLog) -> None:
        answers = winners(await outcomes(map(log.append, self._many_appends(120))))
        events = await everything(log)
        assert len(answers) == 120
        assert_dense(events)
        by_position = {event.position: event for event in events}
        for number, answer in enumerate(answers):
            own = [by_position[at] for at in range(answer.first, answer.first + answer.events)]
            assert set(numbers(own)) == {number}, (
                f"positions {answer.first} to {answer.last} were answered to append {number}, and "
                f"hold events of {sorted(set(numbers(own)))}"
            )
        assert sum(answer.events for answer in answers) == len(events), "events too many"

    async def test_g3_a_reader_never_sees_a_gap(self, log: EventLog) -> None:
        appends = list(self._many_appends(150))
        count = sum(len(stream.events) for append in appends for stream in append.streams)
        readers = [asyncio.ensure_future(self._follow(log, count, pace)) for pace in (0, 1, 3)]
        try:
            answers = winners(await outcomes(map(log.append, appends)))
            assert len(answers) == len(appends)
            seen = [await self.soon(reader, "a reader reaching the head") for reader in readers]
        finally:
            for reader in readers:
                reader.cancel()
            await outcomes(readers)
        final = await everything(log)
        for events in seen:
            assert events == final, "a reader that followed saw something else than one that waited"

    async def test_g3_the_head_is_what_can_be_read(self, log: EventLog) -> None:
        writing = asyncio.ensure_future(outcomes(map(log.append, self._many_appends(60))))
        previous = 0
        while not writing.done():
            head = await log.head()
            assert head >= previous, f"the head went back from {previous} to {head}"
            previous = head
            assert len(await log.read(0, head)) == head, "the head counts events not yet readable"
            await asyncio.sleep(0)
        last = max(answer.last for answer in winners(await writing))
        assert await log.head() == last

    async def test_g3_failed_appends_leave_no_gap(self, log: EventLog) -> None:
        await log.append(add("taken"))
        appends = [
            add("taken", fact(), expected=0) if number % 3 == 0 else add("a", fact(number))
            for number in range(30)
        ]
        results = await outcomes(map(log.append, appends))
        assert len(losers(results, VersionConflict)) == 10
        events = await everything(log)
        assert len(events) == 21
        assert_dense(events)

    async def test_g3_an_append_that_returned_can_be_read(self, log: EventLog) -> None:
        async def append_and_read(number: int) -> None:
            appended = await log.append(add(f"s-{number}", fact(number)))
            assert numbers(await log.read(appended.first - 1, 1)) == [number]
            assert numbers(await log.read_stream(f"s-{number}")) == [number]
            assert await log.head() >= appended.last

        for result in await outcomes(map(append_and_read, range(30))):
            if result is not None:
                raise result

    async def test_g3_reading_goes_on_after_a_position(self, log: EventLog) -> None:
        await log.append(add("a", *numbered(25)))
        read: list[StoredEvent] = []
        while batch := await log.read(len(read), 10):
            assert len(batch) <= 10, "a batch is larger than its limit"
            read += batch
        assert numbers(read) == list(range(25))
        assert await log.read(25, 10) == [], "there is nothing after the head"
        assert await log.read(1_000, 10) == []
        assert numbers(await log.read(24, 10)) == [24]

    async def test_g3_filters_leave_out_and_keep_order(self, log: EventLog) -> None:
        chance = random.Random(7)  # noqa: S311  repeatable by design
        given = [
            fact(number, chance.choice("ABC"), chance.sample(["x:1", "x:10", "y:1", "z:'%_"], 2))
            for number in range(60)
        ]
        for start in range(0, 60, 6):
            await log.append(add(chance.choice(STREAMS), *given[start : start + 6]))
        for filters in (
            (EventFilter(("A",)),),
            (EventFilter(("A", "C")),),
            (EventFilter((), ("x:1",)),),
            (EventFilter((), ("x:1", "y:1")),),
            (EventFilter(("B", "C"), ("x:10",)),),
            (EventFilter(("A",)), EventFilter((), ("x:1",))),
            (EventFilter((), ("z:'%_",)), EventFilter(("B",)), EventFilter(("B",), ("y:1",))),
            (EventFilter(),),
            (EventFilter(("D",)), EventFilter((), ("x",))),
        ):
            wanted = [
                number
                for number, event in enumerate(given)
                if any(one.matches(event.type, event.tags) for one in filters)
            ]
            assert numbers(await log.read(0, EVERYTHING, filters)) == wanted, f"{filters}"
            later = [number for number in wanted if number >= 20]
            assert numbers(await log.read(20, EVERYTHING, filters)) == later, f"{filters}"
            assert numbers(await log.read(20, 3, filters)) == later[:3], f"{filters}"

    async def test_g4_versions_are_dense_in_each_stream(self, log: EventLog) -> None:
        await outcomes(map(log.append, self._many_appends(120)))
        events = await everything(log)
        assert events, "nothing was kept"
        for name in STREAMS:
            stream = await log.read_stream(name)
            versions = [event.version for event in stream]
            assert versions == list(range(1, len(stream) + 1)), f"{name} has versions {versions}"
            assert stream == [event for event in events if event.stream == name], (
                "a stream read alone and the same stream read in the log differ"
            )

    async def test_g4_a_stream_is_read_after_a_version_up_to_a_limit(self, log: EventLog) -> None:
        for number in range(10):
            await log.append(Append(streams=(to("a", fact(number)), to("b", fact(-1)))))
        assert numbers(await log.read_stream("a")) == list(range(10))
        assert numbers(await log.read_stream("a", after=7)) == [7, 8, 9]
        assert numbers(await log.read_stream("a", after=2, limit=3)) == [2, 3, 4]
        assert numbers(await log.read_stream("a", limit=2)) == [0, 1]
        assert await log.read_stream("a", after=10) == []

    async def test_g4_stream_names_are_compared_exactly(self, log: EventLog) -> None:
        names = ["a", "A", "a ", "ä", "a\u0308", "a-1", "a_1", "a%", "'", "x" * 300]
        for name in names:
            await log.append(add(name, fact(name), expected=0))
        for name in names:
            assert numbers(await log.read_stream(name)) == [name]

    def _many_appends(self, count: int) -> list[Append]:
        """Appends of a few events to one or two streams; events have their append's number."""
        chance = random.Random(count)  # noqa: S311  repeatable by design
        return [
            Append(
                streams=tuple(
                    to(name, *[fact(number)] * chance.randint(1, 2))
                    for name in chance.sample(STREAMS, chance.randint(1, 2))
                )
            )
            for number in range(count)
        ]

    async def _follow(self, log: EventLog, count: int, pace: int) -> list[StoredEvent]:
        """Read on from where it was, as a subscription does, until `count` events were seen."""
        seen: list[StoredEvent] = []
        while len(seen) < count:
            batch = await log.read(len(seen), 7)
            assert_dense(batch, after=len(seen))
            seen += batch
            for _ in range(pace):
                await asyncio.sleep(0)
            await asyncio.sleep(0)
        return seen
