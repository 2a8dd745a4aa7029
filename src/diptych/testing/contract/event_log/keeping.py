"""What a log keeps, exactly as it was given, and for how long (G2, G10, G11)."""

# ruff: noqa: D102  the name of a test is its sentence

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from diptych.errors import DiptychError, VersionConflict
from diptych.events.condition import AppendCondition, EventFilter
from diptych.events.log import Append, EventLog, EventToStore, StoredEvent
from diptych.testing.contract.event_log.words import (
    add,
    assert_dense,
    command,
    everything,
    fact,
    numbered,
    snapshot,
    state_of,
    to,
)
from diptych.testing.contract.suite import Contract, losers, outcomes, refusal, winners

__all__ = ["Keeping"]


class Keeping(Contract):
    """Tests of G2 (durable), G10 (unchanged) and G11 (snapshots)."""

    async def reopen(self, log: EventLog) -> EventLog | None:
        """Same data in a new object, as another process would see it; None for a volatile log.

        The suite calls it after `log` was closed, and also while `log` is still in use.
        """
        raise NotImplementedError

    @asynccontextmanager
    async def another(self, log: EventLog) -> AsyncIterator[EventLog | None]:
        """The log as another process sees it. None: the log says that it is volatile."""
        other = await self.reopen(log)
        volatile = log.volatile
        assert (other is None) == volatile, (
            f"`volatile` of the log is {volatile}, and reopen answered {other!r}: a log that "
            "cannot be opened again has to say so, and one that can has to be opened"
        )
        if other is None:
            yield None
            return
        async with self.apart(other) as apart:
            await apart.open()
            try:
                yield apart
            finally:
                await apart.close()

    async def test_g2_another_object_sees_what_append_returned(self, log: EventLog) -> None:
        for turn in range(3):
            await log.append(
                Append(
                    streams=(to("a", fact(turn)), to(f"b-{turn}", fact(turn), fact(turn))),
                    snapshots=(snapshot("a", turn + 1),),
                    command=command(f"c-{turn}"),
                )
            )
        seen = await state_of(log, ["a", "b-1"], ["c-0", "c-2"])
        async with self.another(log) as other:
            if other is not None:
                assert await state_of(other, ["a", "b-1"], ["c-0", "c-2"]) == seen
        assert seen[0] == 9, "an append returned, and its events are not there"
        assert seen[3][0] == snapshot("a", 3), "an append returned, and its snapshot is not there"
        assert None not in seen[4], "an append returned, and its command is not there"

    async def test_g2_closing_forgets_nothing_and_a_volatile_log_everything(
        self, log: EventLog
    ) -> None:
        await log.append(add("a", *numbered(3), snapshots=(snapshot("a", 3),)))
        seen = await state_of(log, ["a"])
        await log.close()
        async with self.another(log) as other:
            if other is not None:
                assert await state_of(other, ["a"]) == seen
                appended = await other.append(add("a", expected=3))
                assert appended.first == 4, "positions go on where they were"
                return
        await log.open()
        assert await log.head() == 0, "a volatile log is empty when it is opened again"

    async def test_g2_the_identity_belongs_to_the_data(self, log: EventLog) -> None:
        assert log.identity, "a log has a name"
        before = log.identity
        await log.append(add("a"))
        assert log.identity == before, "the name of a log does not change"
        async with self.another(log) as other:
            if other is not None:
                assert other.identity == before, "the same data is the same log"

    async def test_g2_opening_and_closing_again_do_nothing(self, log: EventLog) -> None:
        await log.append(add("a"))
        await log.open()
        assert await log.head() == 1
        await log.close()
        await log.close()

    async def test_g2_close_finishes_what_was_accepted(self, log: EventLog) -> None:
        tasks = [asyncio.ensure_future(log.append(add(f"s-{n}", fact(n)))) for n in range(20)]
        await asyncio.sleep(0)
        await self.soon(log.close(), "close")
        results = await self.soon(outcomes(tasks), "appends that were waiting when the log closed")
        # An append that came too late is refused; it is not left without an answer.
        losers(results, DiptychError)
        async with self.another(log) as other:
            if other is not None:
                events = await everything(other)
                assert_dense(events)
                kept = {event.position for event in events}
                answered = {appended.first for appended in winners(results)}
                assert answered <= kept, f"{answered - kept} were answered and are gone"

    async def test_g10_events_are_read_as_they_were_given(self, log: EventLog) -> None:
        odd = EventToStore(
            "Ereignis-Ä",
            7,
            '{ "text" : "\\u0000 Größe \\ud83d\\ude00 \'quoted\' 😀" }'.encode(),
            b'{"by": "x",\n "n": 1e400}',
            ("tag:1", "tag:ö'%_"),
        )
        await log.append(add("stream 'ä'/%_\"", odd, recorded_us=1_234_567_890_123_456))
        wanted = StoredEvent(
            1, "stream 'ä'/%_\"", 1, odd.type, 7, odd.data, odd.meta, 1_234_567_890_123_456
        )
        assert await everything(log) == [wanted]
        assert await log.read_stream("stream 'ä'/%_\"") == [wanted]

    async def test_g10_later_appends_change_nothing_before_them(self, log: EventLog) -> None:
        for turn in range(10):
            before = await everything(log)
            await log.append(Append(streams=(to("a", fact(turn)), to("b", fact(turn)))))
            now = await everything(log)
            assert now[: len(before)] == before, "an event changed after it was appended"
            assert await log.read_stream("a") == [one for one in now if one.stream == "a"]

    async def test_g10_failed_appends_change_nothing(self, log: EventLog) -> None:
        await log.append(add("a", *numbered(3)))
        before = await state_of(log, ["a"])
        await refusal(VersionConflict, log.append(add("a", expected=1)), "a is at 3")
        unfit = add("b", condition=AppendCondition((EventFilter(),)))
        await refusal(DiptychError, log.append(unfit), "the log is not empty")
        assert await state_of(log, ["a"]) == before

    async def test_g10_what_a_caller_does_with_its_answer_changes_nothing(
        self, log: EventLog
    ) -> None:
        await log.append(add("a", *numbered(2)))
        before = await everything(log)
        (await everything(log)).clear()
        (await log.read_stream("a")).clear()
        assert await everything(log) == before
        assert await log.read_stream("a") == before

    async def test_g11_a_snapshot_is_returned_exactly(self, log: EventLog) -> None:
        assert await log.snapshot("a") is None, "there is no snapshot before the first"
        given = snapshot("a", 1, '{ "größe" : "\\u0000 😀" }'.encode(), schema=3)
        await log.append(add("a", snapshots=(given,)))
        assert await log.snapshot("a") == given
        assert await log.snapshot("A") is None, "snapshots belong to one stream"

    async def test_g11_the_highest_version_stays(self, log: EventLog) -> None:
        for version in (3, 1, 2):
            await log.append(Append(snapshots=(snapshot("a", version, b"%d" % version),)))
            assert await log.snapshot("a") == snapshot("a", 3, b"3"), (
                f"version {version} replaced the snapshot of version 3"
            )
        await log.append(Append(snapshots=(snapshot("a", 4, b"4"), snapshot("b", 1, b"1"))))
        assert await log.snapshot("a") == snapshot("a", 4, b"4")
        assert await log.snapshot("b") == snapshot("b", 1, b"1")

    async def test_g11_the_same_version_in_a_new_shape_replaces_the_old(
        self, log: EventLog
    ) -> None:
        # After an upgrade the state of an idle stream is offered again in its new shape; keeping
        # the old one would make every load fold the whole stream.
        await log.append(add("a", *numbered(3), snapshots=(snapshot("a", 3, schema=1),)))
        await log.append(Append(snapshots=(snapshot("a", 3, b'{"total":1}', schema=2),)))
        assert await log.snapshot("a") == snapshot("a", 3, b'{"total":1}', schema=2)
