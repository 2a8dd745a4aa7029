"""What an append keeps: all of it or nothing (G1)."""

# ruff: noqa: D102  the name of a test is its sentence

from __future__ import annotations

import asyncio

from diptych.errors import AppendConditionFailed, VersionConflict
from diptych.events.condition import AppendCondition, EventFilter
from diptych.events.log import Append, Appended, EventLog, EventToStore
from diptych.testing.contract.event_log.words import (
    Veto,
    Vetoed,
    add,
    assert_dense,
    command,
    everything,
    fact,
    numbered,
    numbers,
    snapshot,
    state_of,
    to,
)
from diptych.testing.contract.suite import Contract, refusal

__all__ = ["Appending"]

STREAMS = ("a", "b", "c")


class Appending(Contract):
    """Tests of G1: an append is all or nothing."""

    async def test_g1_an_append_keeps_all_its_parts(self, log: EventLog) -> None:
        appended = await log.append(
            Append(
                streams=(to("a", *numbered(2)), to("b", *numbered(1, start=2))),
                snapshots=(snapshot("a", 2), snapshot("b", 1)),
                command=command("c-1"),
            )
        )
        assert appended == Appended(1, 3), "an append answers its first position and its count"
        assert appended.last == 3
        events = await everything(log)
        assert numbers(events) == [0, 1, 2], "events keep the order in which they were given"
        assert [event.stream for event in events] == ["a", "a", "b"]
        assert await log.snapshot("a") == snapshot("a", 2)
        assert await log.snapshot("b") == snapshot("b", 1)
        assert await log.command("c-1") is not None, "the command record was not kept"

    async def test_g1_a_version_conflict_in_one_stream_keeps_nothing(self, log: EventLog) -> None:
        await log.append(add("b"))
        before = await state_of(log, STREAMS, ["c-1"])
        unfit = Append(
            streams=(to("a", fact()), to("b", fact(), expected=0), to("c", fact())),
            snapshots=(snapshot("a", 1),),
            command=command("c-1"),
        )
        await refusal(VersionConflict, log.append(unfit), "b is not new")
        assert await state_of(log, STREAMS, ["c-1"]) == before, "a failed append left a trace"

    async def test_g1_a_violated_condition_keeps_nothing(self, log: EventLog) -> None:
        await log.append(add("b"))
        before = await state_of(log, STREAMS, ["c-1"])
        unfit = Append(
            streams=(to("a", fact()), to("c", fact())),
            condition=AppendCondition((EventFilter(),)),
            snapshots=(snapshot("a", 1),),
            command=command("c-1"),
        )
        await refusal(AppendConditionFailed, log.append(unfit), "the log is not empty")
        assert await state_of(log, STREAMS, ["c-1"]) == before, "a failed append left a trace"

    async def test_g1_what_a_participant_refuses_is_not_kept(self, log: EventLog) -> None:
        await log.append(add("b"))
        log.join(Veto())
        before = await state_of(log, STREAMS, ["c-1"])
        unwanted = Append(
            streams=(to("a", fact(), fact(type_="Unwanted")), to("c", fact())),
            snapshots=(snapshot("a", 2),),
            command=command("c-1"),
        )
        await refusal(Vetoed, log.append(unwanted), "a participant refused it")
        assert await state_of(log, STREAMS, ["c-1"]) == before, "a failed append left a trace"

    async def test_g1_the_log_goes_on_after_a_failed_append(self, log: EventLog) -> None:
        log.join(Veto())
        await log.append(add("a", expected=0))
        await refusal(VersionConflict, log.append(add("a", expected=0)), "a is not new")
        await refusal(Vetoed, log.append(add("b", fact(type_="Unwanted"))), "it is not wanted")
        assert await log.append(add("a", expected=1)) == Appended(2, 1)
        assert await log.append(add("b", expected=0)) == Appended(3, 1)
        assert_dense(await everything(log))

    async def test_g1_a_participant_is_shown_the_events_it_commits_with(
        self, log: EventLog
    ) -> None:
        await log.append(add("a", *numbered(2)))
        participant = Veto()
        log.join(participant)
        await log.append(Append(streams=(to("a", fact(2)), to("b", fact(3)))))
        assert participant.heads == [4], "a participant joins each append, with the new head"
        assert participant.seen == await everything(log), (
            "a participant has to see the log as it will be once the append is committed"
        )

    async def test_g1_an_append_without_events_keeps_the_rest(self, log: EventLog) -> None:
        await log.append(add("a"))
        rest = Append(snapshots=(snapshot("a", 1),), command=command("c-1"))
        appended = await log.append(rest)
        assert appended == Appended(0, 0), "an append without events has no position"
        assert await log.head() == 1
        assert await log.snapshot("a") == snapshot("a", 1)
        assert await log.command("c-1") is not None

    async def test_g1_an_append_of_many_events_is_one_append(self, log: EventLog) -> None:
        many = numbered(5_000)
        await refusal(VersionConflict, log.append(add("a", *many, expected=1)), "a is new")
        assert await log.head() == 0
        assert await log.append(add("a", *many, expected=0)) == Appended(1, 5_000)
        assert numbers(await everything(log)) == list(range(5_000))

    async def test_g1_large_events_are_kept_whole(self, log: EventLog) -> None:
        large = EventToStore("Large", 1, b'"' + b"x" * 700_000 + b'"', b"{}")
        await log.append(add("a", large, large))
        assert [event.data for event in await everything(log)] == [large.data] * 2

    async def test_g1_a_cancelled_append_happened_or_did_not(self, log: EventLog) -> None:
        for turns in range(6):
            stream = f"cancelled-{turns}"
            task = asyncio.ensure_future(log.append(add(stream, *numbered(3))))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            # Appends are taken in turn, so an answer to this one says that the first is decided.
            await self.soon(log.append(add("after")), "the log is stuck after a cancelled append")
            assert len(await log.read_stream(stream)) in (0, 3), "half of an append was kept"
        assert_dense(await everything(log))
