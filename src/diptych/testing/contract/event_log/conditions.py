"""Append conditions over types and tags (G6)."""

# ruff: noqa: D102  the name of a test is its sentence

from __future__ import annotations

import asyncio

from diptych.errors import AppendConditionFailed, ConflictError, VersionConflict
from diptych.events.condition import AppendCondition, EventFilter
from diptych.events.log import Append, EventLog
from diptych.testing.contract.event_log.keeping import Keeping
from diptych.testing.contract.event_log.words import add, everything, fact, numbers
from diptych.testing.contract.suite import losers, outcomes, refusal, winners

__all__ = ["Conditions"]


def unless(*filters: EventFilter, after: int = 0, number: int = 99) -> Append:
    """An append on condition that nothing after `after` matches."""
    return add("new", fact(number), condition=AppendCondition(filters, after))


def typed(*types: str) -> EventFilter:
    """A filter by types."""
    return EventFilter(types)


def tagged(*tags: str) -> EventFilter:
    """A filter by tags."""
    return EventFilter((), tags)


class Conditions(Keeping):
    """Tests of G6: an append whose condition is violated fails and changes nothing."""

    async def _given(self, log: EventLog) -> None:
        """Three events that the tests below speak of."""
        await log.append(add("s", fact(1, "Opened", ["room:1", "user:ann"])))
        await log.append(add("s", fact(2, "Moved", ["room:1"])))
        await log.append(add("t", fact(3, "Opened", ["room:10", "user:o'neil%_"])))

    async def _violated(self, log: EventLog, append: Append, positions: tuple[int, ...]) -> None:
        """The append must fail and say which event it met; the log must stay as it is."""
        head = await log.head()
        failure = await refusal(AppendConditionFailed, log.append(append), f"{append.condition}")
        assert failure.position in positions, (
            f"{append.condition} names position {failure.position}; it is violated at {positions}"
        )
        assert await log.head() == head, "a failed append left a trace"

    async def test_g6_a_type_is_forbidden(self, log: EventLog) -> None:
        await self._given(log)
        await self._violated(log, unless(typed("Opened")), (1, 3))
        await self._violated(log, unless(typed("Closed", "Moved")), (2,))
        await log.append(unless(typed("Closed")))
        await log.append(unless(typed("opened", "Open", "Opened ")))

    async def test_g6_a_tag_is_forbidden(self, log: EventLog) -> None:
        await self._given(log)
        await self._violated(log, unless(tagged("room:1")), (1, 2))
        await self._violated(log, unless(tagged("room:10")), (3,))
        await self._violated(log, unless(tagged("user:o'neil%_")), (3,))
        await log.append(unless(tagged("room:")))
        await log.append(unless(tagged("room:100")))
        await log.append(unless(tagged("user:o'neilxx")))
        await log.append(unless(tagged("Room:1")))

    async def test_g6_all_tags_of_a_filter_have_to_be_there(self, log: EventLog) -> None:
        await self._given(log)
        await self._violated(log, unless(tagged("user:ann", "room:1")), (1,))
        await log.append(unless(tagged("room:1", "room:10")))
        await log.append(unless(tagged("room:1", "user:bob")))

    async def test_g6_type_and_tags_have_to_meet_in_one_event(self, log: EventLog) -> None:
        await self._given(log)
        await self._violated(log, unless(EventFilter(("Opened",), ("room:1",))), (1,))
        await self._violated(log, unless(EventFilter(("Moved", "Opened"), ("room:10",))), (3,))
        await log.append(unless(EventFilter(("Moved",), ("user:ann",))))
        await log.append(unless(EventFilter(("Closed",), ("room:1",))))

    async def test_g6_any_filter_forbids(self, log: EventLog) -> None:
        await self._given(log)
        await self._violated(log, unless(typed("Closed"), tagged("room:10")), (3,))
        await self._violated(log, unless(tagged("room:10"), typed("Closed")), (3,))
        await self._violated(log, unless(typed("Moved"), tagged("user:ann")), (1, 2))
        await log.append(unless(typed("Closed"), tagged("room:2"), tagged("user:ann", "room:10")))

    async def test_g6_an_empty_filter_forbids_everything(self, log: EventLog) -> None:
        await log.append(unless(EventFilter()))
        await self._violated(log, unless(EventFilter()), (1,))
        await log.append(unless(EventFilter(), after=1))

    async def test_g6_only_events_after_the_position_count(self, log: EventLog) -> None:
        await self._given(log)
        await self._violated(log, unless(typed("Opened"), after=1), (3,))
        await self._violated(log, unless(typed("Opened"), after=2), (3,))
        await self._violated(log, unless(tagged("room:1"), after=1), (2,))
        await log.append(unless(typed("Opened"), after=3))
        await log.append(unless(tagged("room:1"), after=2))
        await log.append(unless(typed("Opened"), after=1_000))

    async def test_g6_an_append_does_not_violate_its_own_condition(self, log: EventLog) -> None:
        name = fact(1, "NameTaken", ["name:ann"])
        condition = AppendCondition((EventFilter(("NameTaken",), ("name:ann",)),))
        await log.append(add("user-1", name, name, condition=condition))
        await self._violated(log, add("user-2", name, condition=condition), (1, 2))

    async def test_g6_condition_and_version_are_both_checked(self, log: EventLog) -> None:
        await self._given(log)
        free = AppendCondition((typed("Closed"),))
        stale = add("s", expected=1, condition=free)
        await refusal(VersionConflict, log.append(stale), "the version does not hold")
        forbidden = add("s", expected=2, condition=AppendCondition((typed("Moved"),)))
        await self._violated(log, forbidden, (2,))
        await log.append(add("s", expected=2, condition=free))

    async def test_g6_one_of_many_takes_a_name(self, log: EventLog) -> None:
        async with self.another(log) as other:
            logs = [log] if other is None else [log, other]
            for name in ("ann", "bob", "eve"):
                await self._take(logs, name)
        assert len(await everything(log)) == 3

    async def test_g6_a_decision_on_old_events_fails(self, log: EventLog) -> None:
        # Two seats, thirty guests: each guest reads the seats taken and appends on condition that
        # nobody took one meanwhile.
        async def take_a_seat(guest: int) -> bool:
            seats = (typed("SeatTaken"),)
            while True:
                taken = await log.read(0, 10, seats)
                if len(taken) >= 2:
                    return False
                after = taken[-1].position if taken else 0
                try:
                    await log.append(
                        add(
                            f"guest-{guest}",
                            fact(guest, "SeatTaken"),
                            condition=AppendCondition(seats, after),
                        )
                    )
                except AppendConditionFailed:
                    await asyncio.sleep(0)
                    continue
                return True

        results = await self.soon(outcomes(map(take_a_seat, range(30))), "thirty guests")
        losers(results, ConflictError)
        assert winners(results).count(True) == 2, "the seats were taken by more guests than sit"
        assert len(await everything(log)) == 2

    async def _take(self, logs: list[EventLog], name: str) -> None:
        """Let many take the same name at the same time; one must win."""
        condition = AppendCondition((tagged(f"name:{name}"),))
        attempts = [
            logs[number % len(logs)].append(
                add(
                    f"{name}-{number}",
                    fact(number, "NameTaken", [f"name:{name}"]),
                    condition=condition,
                )
            )
            for number in range(20)
        ]
        results = await outcomes(attempts)
        lost = losers(results, AppendConditionFailed)
        assert len(lost) == 19, f"{20 - len(lost)} of 20 took the name {name}"
        winner = next(at for at, one in enumerate(results) if not isinstance(one, BaseException))
        assert numbers(await logs[0].read_stream(f"{name}-{winner}")) == [winner]
