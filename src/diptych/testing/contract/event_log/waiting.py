"""Waiting for the head to move (G9)."""

# ruff: noqa: D102  the name of a test is its sentence

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from diptych.events.log import EventLog
from diptych.testing.contract.event_log.keeping import Keeping
from diptych.testing.contract.event_log.words import add, everything, numbered
from diptych.testing.contract.suite import outcomes

__all__ = ["Waiting"]

# How long a wait is watched to see that it does *not* end. A log that ends it too early does so at
# once, so this may be short; it can only ever fail a wrong log.
WATCHED_S = 0.03


@asynccontextmanager
async def waiting(log: EventLog, *positions: int) -> AsyncIterator[list[asyncio.Task[int]]]:
    """Tasks that wait for the head to pass each of `positions`; none of them is done."""
    tasks = [asyncio.create_task(log.wait(position)) for position in positions]
    try:
        done, _ = await asyncio.wait(tasks, timeout=WATCHED_S)
        assert not done, f"wait ended although nothing was appended: {[*done]}"
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await outcomes(tasks)


class Waiting(Keeping):
    """Tests of G9: `wait` returns once the head is past the given position."""

    async def test_g9_wait_returns_at_once_when_the_head_is_past(self, log: EventLog) -> None:
        await log.append(add("a", *numbered(3)))
        for position in (0, 1, 2):
            head = await self.soon(log.wait(position), f"wait({position}) with the head at 3")
            assert head == 3, "wait returns the head"

    async def test_g9_an_append_wakes_all_who_wait(self, log: EventLog) -> None:
        async with waiting(log, *[0] * 20) as tasks:
            await log.append(add("a"))
            heads = await self.soon(asyncio.gather(*tasks), "wait(0) after the first append")
            assert heads == [1] * 20

    async def test_g9_each_waits_for_its_own_position(self, log: EventLog) -> None:
        await log.append(add("a"))
        async with waiting(log, 1, 2, 4) as (one, two, four):
            await log.append(add("a"))
            assert await self.soon(one, "wait(1) with the head at 2") == 2
            done, _ = await asyncio.wait([two, four], timeout=WATCHED_S)
            assert not done, "wait(2) ended with the head at 2"
            await log.append(add("a", *numbered(2)))
            assert await self.soon(two, "wait(2) with the head at 4") == 4
            await log.append(add("a"))
            assert await self.soon(four, "wait(4) with the head at 5") == 5

    async def test_g9_nobody_sleeps_through_appends(self, log: EventLog) -> None:
        # A subscription's loop: read, and wait when there is nothing. A wake-up that is lost
        # between the two makes it hang.
        async def follow() -> int:
            position = 0
            while position < 40:
                head = await log.wait(position)
                assert head > position, f"wait({position}) answered {head}"
                position = head
            return len(await log.read(0, position))

        async def write() -> None:
            for number in range(40):
                await log.append(add("a"))
                for _ in range(number % 3):
                    await asyncio.sleep(0)

        followers = [asyncio.create_task(follow()) for _ in range(5)]
        try:
            await write()
            counts = await self.soon(asyncio.gather(*followers), "followers reaching position 40")
            assert counts == [40] * 5
        finally:
            for follower in followers:
                follower.cancel()
            await outcomes(followers)

    async def test_g9_a_cancelled_wait_leaves_the_log_and_others_alone(self, log: EventLog) -> None:
        async with waiting(log, *[0] * 6) as tasks:
            for task in tasks[::2]:
                task.cancel()
            cancelled = await self.soon(outcomes(tasks[::2]), "a cancelled wait")
            assert all(isinstance(one, asyncio.CancelledError) for one in cancelled), (
                f"a cancelled wait has to end as cancelled: {cancelled}"
            )
            await self.soon(log.append(add("a")), "an append after a cancelled wait")
            others = await self.soon(asyncio.gather(*tasks[1::2]), "those who were not cancelled")
            assert others == [1, 1, 1]
        assert await self.soon(log.wait(0), "a new wait") == 1
        assert len(await everything(log)) == 1

    async def test_g9_an_append_by_another_process_wakes_too(self, log: EventLog) -> None:
        async with self.another(log) as other:
            if other is not None:
                async with waiting(log, 0, 0) as tasks:
                    await other.append(add("a", *numbered(2)))
                    heads = await self.soon(
                        asyncio.gather(*tasks), "wait, another process appended"
                    )
                    assert heads == [2, 2]

    async def test_g9_closing_does_not_leave_anybody_waiting(self, log: EventLog) -> None:
        async with waiting(log, 0) as tasks:
            await self.soon(log.close(), "closing while somebody waits")
            # It cannot be told a head any more: any error is better than silence for ever.
            (result,) = await self.soon(outcomes(tasks), "a wait on a log that was closed")
            assert isinstance(result, BaseException), f"there is nothing past 0, but: {result!r}"
