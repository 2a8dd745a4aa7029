"""Appends that happen to be committed together (G8)."""

# ruff: noqa: D102  the name of a test is its sentence

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable

from diptych.errors import AppendConditionFailed, VersionConflict
from diptych.events.condition import AppendCondition, EventFilter
from diptych.events.log import Append, Appended, EventLog
from diptych.testing.contract.event_log.mixtures import History, any_appends
from diptych.testing.contract.event_log.words import (
    Veto,
    Vetoed,
    add,
    assert_dense,
    command,
    everything,
    fact,
    numbers,
    snapshot,
)
from diptych.testing.contract.suite import Contract, outcomes

__all__ = ["Neighbours"]


class Neighbours(Contract):
    """Tests of G8: one failing append never fails another."""

    async def test_g8_a_version_conflict_is_its_own_affair(self, log: EventLog) -> None:
        await log.append(add("taken", fact(-1)))
        await self._every_third_fails(
            log, VersionConflict, lambda number: add("taken", fact(number), expected=0)
        )

    async def test_g8_a_violated_condition_is_its_own_affair(self, log: EventLog) -> None:
        await log.append(add("taken", fact(-1, "Taken")))
        condition = AppendCondition((EventFilter(("Taken",)),))
        await self._every_third_fails(
            log,
            AppendConditionFailed,
            lambda number: add(f"s-{number}", fact(number), condition=condition),
        )

    async def test_g8_a_participants_refusal_is_its_own_affair(self, log: EventLog) -> None:
        log.join(Veto())
        await log.append(add("taken", fact(-1)))
        await self._every_third_fails(
            log, Vetoed, lambda number: add(f"s-{number}", fact(number, "Unwanted"))
        )

    async def test_g8_what_a_failing_neighbour_would_have_changed_counts_for_nobody(
        self, log: EventLog
    ) -> None:
        # Both appends to `b` expect it to be new. If the first fails for another reason, the second
        # must succeed: nothing was written to `b`.
        await log.append(add("taken"))
        log.join(Veto())
        failing = Append(
            streams=(add("b").streams[0], add("taken", expected=0).streams[0]),
            snapshots=(snapshot("b", 9),),
            command=command("c-1"),
        )
        vetoed = add("b", fact(1, "Unwanted"), expected=0, command=command("c-1"))
        good = add("b", fact(2), expected=0, command=command("c-1"))
        first, second, third = await outcomes(map(log.append, [failing, vetoed, good]))
        assert isinstance(first, VersionConflict), f"taken is not new, but: {first!r}"
        assert isinstance(second, Vetoed), f"it is not wanted, but: {second!r}"
        assert isinstance(third, Appended), f"nobody wrote to b, but: {third!r}"
        assert third == Appended(2, 1), "a failed neighbour used up a position or the command id"
        assert numbers(await log.read_stream("b")) == [2]
        assert await log.snapshot("b") is None

    async def test_g8_a_cancelled_neighbour_fails_nobody(self, log: EventLog) -> None:
        for turns in range(5):
            tasks = [
                asyncio.ensure_future(log.append(add(f"s-{turns}-{number}", fact(number))))
                for number in range(20)
            ]
            for _ in range(turns):
                await asyncio.sleep(0)
            for cancelled in tasks[::3]:
                cancelled.cancel()
            results = await self.soon(outcomes(tasks), "appends beside cancelled ones")
            for number, result in enumerate(results):
                if number % 3:
                    assert isinstance(result, Appended), f"append {number} failed: {result!r}"
                    assert numbers(await log.read(result.first - 1, 1)) == [number]
        assert_dense(await everything(log))

    async def test_g8_any_mixture_is_as_if_one_append_came_after_the_other(
        self, log: EventLog
    ) -> None:
        seed = int(os.environ.get("MIXTURE_SEED") or random.SystemRandom().randrange(1 << 32))
        print(f"MIXTURE_SEED={seed}")  # noqa: T201  a failure must be repeatable
        chance = random.Random(seed)  # noqa: S311  it decides what is tried
        history = History(log)
        for _ in range(60):
            # Now a handful, of which few meet, now so many that all kinds share a batch.
            count = chance.choice((2, 3, 3, 4, 20))
            appends = any_appends(chance, history.standing, count)
            told = await self.soon(outcomes(map(log.append, appends)), f"{count} appends")
            await history.assert_one_after_the_other(appends, told)

    async def _every_third_fails(
        self, log: EventLog, error: type[Exception], failing: Callable[[int], Append]
    ) -> None:
        """Append many at once, every third one `failing`; the others have to succeed."""
        before = await log.head()
        appends = [
            add(f"s-{number}", fact(number), expected=0) if number % 3 else failing(number)
            for number in range(30)
        ]
        results = await self.soon(outcomes(map(log.append, appends)), "thirty appends")
        for number, result in enumerate(results):
            wanted = Appended if number % 3 else error
            assert isinstance(result, wanted), f"append {number} should give {wanted}: {result!r}"
        events = await everything(log)
        assert_dense(events)
        kept = sorted(numbers(events[before:]))
        assert kept == [number for number in range(30) if number % 3]
        for result in results:
            if isinstance(result, Appended):
                assert result.events == 1
        await log.append(add("afterwards", expected=0))
