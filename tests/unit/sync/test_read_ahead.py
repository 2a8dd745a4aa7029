"""What is read ahead is what would have been read; what went wrong is said when it is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from banking import BANK, Balances, Deposit, Deposited

from diptych import App
from diptych.errors import StoreUnavailable
from diptych.events.log import EventLog, StoredEvent
from diptych.queries.read_store import Change, LeaseSwap
from diptych.sync import rebuild, runner
from diptych.sync.read_ahead import ReadAhead
from diptych.sync.subscription import Delivery, EventDecoder, Subscription
from diptych.sync.terms import Terms, write_terms


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


@pytest.fixture
def small(monkeypatch):
    """Batches of a few events, so that there is something to read ahead."""
    monkeypatch.setattr(rebuild, "REBUILD_BATCH", 10)
    for name, size in (("LIVE_BATCH", 5), ("CATCH_UP_BATCH", 10)):
        monkeypatch.setattr(runner, name, size)


@pytest.mark.parametrize("how", ["fails", "is cancelled"])
async def test_a_rebuild_that_ends_early_leaves_nothing_under_way(small, monkeypatch, how):
    async with App("bank", BANK) as app:
        for _ in range(40):
            await app.dispatch(Deposit("a", 1))
        store, written = app.sources[Balances].store, asyncio.Event()
        apply, read = store.apply, app.log.read

        async def apply_the_first(changes: Sequence[Change]) -> None:
            if changes[0].upto == 10:
                await asyncio.sleep(0)  # what is read ahead begins
                written.set()
                if how == "fails":
                    raise StoreUnavailable("away")
                await asyncio.Event().wait()
            await apply(changes)

        async def read_slowly(after: int, limit: int) -> Sequence[StoredEvent]:
            if after >= 10:
                await asyncio.Event().wait()
            return await read(after, limit)

        monkeypatch.setattr(store, "apply", apply_the_first)
        monkeypatch.setattr(app.log, "read", read_slowly)
        rebuilding = asyncio.create_task(app.rebuild(Balances, in_place=True))
        await written.wait()
        if how == "is cancelled":
            rebuilding.cancel()
        with pytest.raises((StoreUnavailable, asyncio.CancelledError)):
            await rebuilding
        monkeypatch.setattr(store, "apply", apply)
        monkeypatch.setattr(app.log, "read", read)
        names = [one.get_name() for one in asyncio.all_tasks()]
        assert "reading ahead" not in names


async def test_f40_whoever_looks_for_what_kills_it_does_not_look_ahead(small, monkeypatch):
    """The next event is not even decoded before the present one is written: it may be that one."""
    steps: list[tuple[str, int]] = []
    async with App("bank", BANK) as app:
        for _ in range(30):
            await app.dispatch(Deposit("a", 1))
        source = app.sources[Balances]
        store = source.store
        await app._panels._stop(store)
        await store.reset(source.plan.table)
        lease = (await store.checkpoint("balances")).lease
        left = write_terms(lease.epoch + 1, Terms(crashes=8, suspect=30))  # by those who died
        assert await store.swap_leases([LeaseSwap("balances", lease, left)]) == [True]
        decode, apply = EventDecoder.decode, store.apply

        def noted_decode(self: EventDecoder, stored: Sequence[StoredEvent], after: int) -> Delivery:
            steps.extend(("decoded", one.position) for one in stored)
            return decode(self, stored, after)

        async def noted_apply(changes: Sequence[Change]) -> None:
            await apply(changes)
            steps.append(("written", changes[0].upto))

        monkeypatch.setattr(EventDecoder, "decode", noted_decode)
        monkeypatch.setattr(store, "apply", noted_apply)
        await app._panels._start(store, [source])
        await app.settle()
    first = [(what, at) for at in range(1, 6) for what in ("decoded", "written")]
    assert steps[:10] == first
