"""What is read ahead is what would have been read; what went wrong is said when it is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from banking import BANK, Deposit, Deposited

from diptych import App
from diptych.errors import StoreUnavailable
from diptych.events.log import EventLog, StoredEvent
from diptych.sync.read_ahead import ReadAhead
from diptych.sync.subscription import Subscription


class CountedLog:
    """What is read of a log, and one that fails."""

    def __init__(self, log: EventLog) -> None:
        self.reads: list[tuple[int, int]] = []
        self.fails = False
        self._log = log

    async def read(self, after: int, limit: int) -> Sequence[StoredEvent]:
        self.reads.append((after, limit))
        if self.fails:
            raise StoreUnavailable("the log is away")
        return await self._log.read(after, limit)


@pytest.fixture
async def six():
    """A log of six events, read ahead."""
    async with App("bank", BANK) as app:
        for _ in range(6):
            await app.dispatch(Deposit("a", 1))
        log = CountedLog(app.log)
        yield log, ReadAhead(Subscription(log, app.parts.registry, [Deposited]))


def positions(delivery) -> list[int]:
    return [one.stored.position for one in delivery.envelopes]


async def test_what_was_read_ahead_is_delivered_once_and_not_read_again(six):
    log, events = six
    assert positions(await events.deliver(0, 2, None)) == [1, 2]
    events.begin(2, 2, None)
    await asyncio.sleep(0)
    assert positions(await events.deliver(2, 2, None)) == [3, 4]
    assert positions(await events.deliver(2, 2, None)) == [3, 4]
    assert log.reads == [(0, 2), (2, 2), (2, 2)]


@pytest.mark.parametrize("asked", [(3, 2, None), (2, 1, None), (2, 2, 3)])
async def test_who_asks_for_something_else_gets_that(six, asked):
    _, events = six
    events.begin(2, 2, None)
    after, limit, until = asked
    last = min(after + limit, until or 6)
    assert positions(await events.deliver(after, limit, until)) == list(range(after + 1, last + 1))


async def test_what_fails_ahead_is_said_when_it_is_asked_for_and_only_then(six):
    log, events = six
    log.fails = True
    events.begin(2, 2, None)
    await asyncio.sleep(0)
    log.fails = False
    with pytest.raises(StoreUnavailable):
        await events.deliver(2, 2, None)
    assert positions(await events.deliver(2, 2, None)) == [3, 4]


async def test_what_is_dropped_leaves_nothing_behind(six):
    _, events = six
    events.begin(2, 2, None)
    events.drop()
    await asyncio.sleep(0)
    assert [one.get_name() for one in asyncio.all_tasks()].count("reading ahead") == 0


async def test_whoever_is_cancelled_while_waiting_for_it_can_ask_again(six):
    _, events = six
    events.begin(2, 2, None)
    waiting = asyncio.create_task(events.deliver(2, 2, None))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert positions(await events.deliver(2, 2, None)) == [3, 4]
