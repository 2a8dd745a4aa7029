"""Expected versions, with many who want the same (G5)."""

# ruff: noqa: D102  the name of a test is its sentence

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from diptych.errors import ConflictError, VersionConflict
from diptych.events.log import Append, EventLog
from diptych.testing.contract.event_log.keeping import Keeping
from diptych.testing.contract.event_log.words import (
    add,
    assert_dense,
    everything,
    fact,
    numbered,
    numbers,
    to,
)
from diptych.testing.contract.suite import losers, outcomes, refusal, winners

__all__ = ["Conflicts"]


class Conflicts(Keeping):
    """Tests of G5: an append whose expected version does not hold fails and changes nothing."""

    async def test_g5_zero_says_that_the_stream_must_be_new(self, log: EventLog) -> None:
        await log.append(add("a", *numbered(2), expected=0))
        conflict = await refusal(VersionConflict, log.append(add("a", expected=0)), "a is at 2")
        facts = (conflict.stream, conflict.expected, conflict.actual)
        assert facts == ("a", 0, 2), f"the facts of the conflict are wrong: {facts}"
        assert await log.head() == 2

    async def test_g5_the_expected_version_must_hold_exactly(self, log: EventLog) -> None:
        await log.append(add("a", *numbered(3)))
        for wrong in (0, 1, 2, 4, 100):
            conflict = await refusal(
                VersionConflict, log.append(add("a", expected=wrong)), f"a is at 3, not {wrong}"
            )
            assert (conflict.expected, conflict.actual) == (wrong, 3)
        await refusal(VersionConflict, log.append(add("b", expected=1)), "b does not exist")
        await log.append(add("a", fact(3), expected=3))
        assert numbers(await everything(log)) == [0, 1, 2, 3]

    async def test_g5_any_version_never_conflicts(self, log: EventLog) -> None:
        results = await outcomes(log.append(add("a", fact(number))) for number in range(20))
        assert losers(results, ConflictError) == []
        assert len(await log.read_stream("a")) == 20

    async def test_g5_every_stream_of_an_append_is_checked(self, log: EventLog) -> None:
        await log.append(Append(streams=(to("a", fact()), to("b", fact()))))
        for wrong in range(3):
            expected = [1, 1, 0]
            expected[wrong] = 9
            names = zip(["a", "b", "c"], expected, strict=True)
            unfit = Append(
                streams=tuple(to(name, fact(), expected=version) for name, version in names)
            )
            conflict = await refusal(VersionConflict, log.append(unfit), f"stream {wrong} is wrong")
            assert conflict.stream == "abc"[wrong]
        assert await log.head() == 2

    async def test_g5_no_events_means_only_check(self, log: EventLog) -> None:
        await log.append(add("a", *numbered(2)))
        fit = Append(streams=(to("a", expected=2), to("b", fact(2), expected=0)))
        await log.append(fit)
        unfit = Append(streams=(to("a", expected=1), to("c", fact(3), expected=0)))
        await refusal(VersionConflict, log.append(unfit), "a is at 2, and c depends on it")
        absent = Append(streams=(to("nowhere", expected=0),))
        assert (await log.append(absent)).events == 0
        assert numbers(await everything(log)) == [0, 1, 2]

    async def test_g5_one_of_many_wins(self, log: EventLog) -> None:
        for version in range(5):
            await self._storm([log], version)

    async def test_g5_one_of_many_wins_among_several_processes(self, log: EventLog) -> None:
        async with self.another(log) as other:
            if other is not None:
                for version in range(5):
                    await self._storm([log, other], version)
                await log.append(add("a", expected=5))
                await refusal(
                    VersionConflict, other.append(add("a", expected=5)), "another process wrote a"
                )

    async def test_g5_no_update_is_lost_when_everybody_tries_again(self, log: EventLog) -> None:
        logs = [log]
        async with self.another(log) as other:
            if other is not None:
                logs.append(other)
            counting = [self._count_up(logs[number % len(logs)], 5) for number in range(6)]
            for result in await self.soon(outcomes(counting), "six writers with five turns each"):
                if result is not None:
                    raise result
        events = await log.read_stream("sum")
        assert numbers(events) == list(range(1, 31)), "an update was lost"
        assert_dense(await everything(log))

    async def test_g5_a_failed_append_to_several_streams_wins_none(self, log: EventLog) -> None:
        # Each pair shares a stream with the next, so that half-applied appends would show.
        names = [f"s-{number}" for number in range(8)]
        pairs = [
            Append(
                streams=(
                    to(names[at], fact(at), expected=0),
                    to(names[(at + 1) % 8], fact(at), expected=0),
                )
            )
            for at in range(8)
        ]
        results = await outcomes(map(log.append, pairs))
        losers(results, VersionConflict)
        kept = numbers(await everything(log))
        assert kept, "somebody has to win"
        assert all(kept.count(number) == 2 for number in kept), f"half an append was kept: {kept}"
        assert len(winners(results)) * 2 == len(kept)

    async def _storm(self, logs: Sequence[EventLog], version: int) -> None:
        """Let many append to one stream at the same expected version; one must win."""
        before = await logs[0].head()
        attempts = [
            logs[number % len(logs)].append(add("a", fact(number), expected=version))
            for number in range(20)
        ]
        results = await outcomes(attempts)
        lost = losers(results, VersionConflict)
        assert len(lost) == 19, f"{20 - len(lost)} of 20 appends won at the same expected version"
        won = winners(results)[0]
        for log in logs:
            assert await log.head() == before + 1, "those who lost left a trace"
        winner = next(at for at, result in enumerate(results) if result is won)
        assert numbers(await logs[0].read_stream("a"))[-1] == winner

    async def _count_up(self, log: EventLog, turns: int) -> None:
        """Read a stream, add one to what it says, append at its version; again on conflict."""
        while turns:
            events = await log.read_stream("sum")
            next_ = fact(numbers(events)[-1] + 1 if events else 1)
            try:
                await log.append(add("sum", next_, expected=len(events)))
            except VersionConflict:
                await asyncio.sleep(0)
                continue
            turns -= 1
