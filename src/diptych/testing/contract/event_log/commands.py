"""Command ids: the first answer stays the answer (G7)."""

# ruff: noqa: D102  the name of a test is its sentence

from __future__ import annotations

from diptych.errors import VersionConflict
from diptych.events.condition import AppendCondition, EventFilter
from diptych.events.log import Append, CommandRecord, EventLog
from diptych.testing.contract.event_log.keeping import Keeping
from diptych.testing.contract.event_log.words import (
    Veto,
    Vetoed,
    add,
    command,
    everything,
    fact,
    numbered,
    numbers,
    snapshot,
    state_of,
)
from diptych.testing.contract.suite import outcomes, refusal, winners

__all__ = ["Commands"]


class Commands(Keeping):
    """Tests of G7: a command id is recorded once, and a known id writes nothing."""

    async def test_g7_a_record_is_kept_with_the_positions_it_wrote(self, log: EventLog) -> None:
        await log.append(add("a", *numbered(4)))
        given = CommandRecord("c-1", bytes(range(256)), '{ "größe":1 }'.encode())
        appended = await log.append(add("a", *numbered(3), command=given))
        assert appended.repeated is None, "the first time is no repetition"
        assert await log.command("c-1") == given._replace(first=5, events=3)
        assert await log.command("c-2") is None
        assert await log.command("C-1") is None, "ids are compared exactly"

    async def test_g7_a_known_id_writes_nothing_and_gets_the_first_answer(
        self, log: EventLog
    ) -> None:
        await log.append(add("a", *numbered(2), command=command("c-1", b"1")))
        await log.append(add("b"))
        before = await state_of(log, ["a", "b", "c"], ["c-1"])
        other = add("c", snapshots=(snapshot("c", 1),), command=command("c-1", b"2"))
        appended = await log.append(other)
        first = command("c-1", b"1")._replace(first=1, events=2)
        assert appended.repeated == first, "the first record was not returned"
        assert (appended.first, appended.events) == (1, 2), "a repetition answers as the first did"
        assert await state_of(log, ["a", "b", "c"], ["c-1"]) == before, "a known id wrote something"

    async def test_g7_a_retry_finds_its_answer_where_version_and_condition_moved(
        self, log: EventLog
    ) -> None:
        # The retry of a command that succeeded always meets its own events.
        condition = AppendCondition((EventFilter(("Counted",)),))
        once = add("a", fact(), expected=0, condition=condition, command=command("c-1"))
        first = await log.append(once)
        again = await log.append(once)
        assert again.repeated is not None
        assert (again.first, again.events) == (first.first, first.events)
        assert await log.head() == 1

    async def test_g7_a_command_without_events_is_recorded_too(self, log: EventLog) -> None:
        await log.append(add("a"))
        await log.append(Append(command=command("c-1")))
        assert await log.command("c-1") == command("c-1")._replace(first=0, events=0)
        again = await log.append(add("a", command=command("c-1", b"2")))
        assert again.repeated == command("c-1")
        assert (again.first, again.events, again.last) == (0, 0, 0)
        assert await log.head() == 1

    async def test_g7_a_failed_append_records_nothing(self, log: EventLog) -> None:
        log.join(Veto())
        await log.append(add("a"))
        stale = add("a", expected=0, command=command("c-1"))
        await refusal(VersionConflict, log.append(stale), "a is at 1")
        unwanted = add("b", fact(type_="Unwanted"), command=command("c-1"))
        await refusal(Vetoed, log.append(unwanted), "it is not wanted")
        assert await log.command("c-1") is None
        retried = await log.append(add("a", expected=1, command=command("c-1")))
        assert retried.repeated is None
        assert retried.first == 2, "the id must be free again after a failure"

    async def test_g7_one_of_many_with_the_same_id_writes(self, log: EventLog) -> None:
        async with self.another(log) as other:
            logs = [log] if other is None else [log, other]
            attempts = [
                logs[number % len(logs)].append(
                    add(f"s-{number}", fact(number), command=command("c-1", b"%d" % number))
                )
                for number in range(20)
            ]
            answers = winners(await outcomes(attempts))
            assert len(answers) == 20, "an append with a known id is answered, not refused"
            new = [answer for answer in answers if answer.repeated is None]
            assert len(new) == 1, f"{len(new)} of 20 appends with one id wrote"
            kept = await log.command("c-1")
            assert kept is not None
            for answer in answers:
                assert answer.repeated in (None, kept), "somebody got another answer than the first"
                assert (answer.first, answer.events) == (1, 1)
        assert [b"%d" % number for number in numbers(await everything(log))] == [kept.answer]

    async def test_g7_ids_are_compared_exactly(self, log: EventLog) -> None:
        ids = ["c", "C", "c ", "c\u0301", "ć", "c%", "c_", "'", "x" * 300]
        for number, command_id in enumerate(ids):
            answer = await log.append(add("a", fact(number), command=command(command_id)))
            assert answer.repeated is None, f"{command_id!r} was taken for another id"
        for number, command_id in enumerate(ids):
            kept = await log.command(command_id)
            assert kept == command(command_id)._replace(first=number + 1, events=1)
