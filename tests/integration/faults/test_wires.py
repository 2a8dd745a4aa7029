"""A server at the end of a bad wire: lost answers, silence, slowness (F03, F24, F28, F29)."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest
from banking import BANK, Balances, Deposit, Deposited, Richest, Transfer, Withdrawn

from diptych import App, Projection, ReadModel, keyed_by
from diptych.errors import OutcomeUnknown, StoreError, StoreUnavailable
from diptych.events.log import ANY_VERSION, Append, EventToStore, StreamAppend
from diptych.sync.terms import read_terms
from services.wire import Wire


@pytest.fixture
async def wire(postgres_url):
    async with Wire(postgres_url) as wire:
        yield wire


async def until(condition, what, within_s=20):
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110  nobody tells us
            await asyncio.sleep(0.01)


async def tried_until_answered(app, command, known):
    """The answer, and what was said before it."""
    said = []
    while True:
        try:
            return await app.dispatch(command, id=known), said
        except StoreError as error:
            said.append(error)


@pytest.mark.parametrize("inline", [(), (Balances,)], ids=["async", "inline"])
@pytest.mark.parametrize("request_was", ["heard", "unheard"])
async def test_f03_an_append_whose_answer_is_lost_is_said_to_be_unknown_and_happens_once(
    wire, request_was, inline
):
    async with App("bank", BANK, write=wire.url, inline=inline) as app:
        await app.dispatch(Deposit("a", 1_000_000))
        for n in range(7_000, 7_020):
            command = Transfer("a", "b", n) if n % 2 else Deposit("a", n)
            mark = b"COMMIT" if inline and request_was == "heard" else f":{n}}}".encode()
            wire.break_at(mark, request_was)
            _, said = await tried_until_answered(app, command, f"c-{n}")
            unknown = [one for one in said if isinstance(one, OutcomeUnknown)]
            if not inline:
                assert unknown, f"the answer was lost, and it said {said}"
            stored = [one for one in await app.log.read(0, 1000) if f":{n}}}".encode() in one.data]
            assert len(stored) == 1 + n % 2
        assert wire.broken == 20
        await app.settle(20)
        assert (await app.verify()).ok


async def test_f28_a_holder_cut_off_from_its_store_stops_and_another_takes_over(wire, postgres_url):
    async with App("bank", BANK, write=wire.url) as cut_off:
        await cut_off.dispatch(Deposit("a", 1))
        await cut_off.settle(10)
        async with App("bank", BANK, write=postgres_url + "&sslmode=prefer") as other:
            wire.silence()
            store = other.sources[Balances].store

            async def taken():
                lease = (await store.checkpoint("balances")).lease
                return lease.epoch > 1 and read_terms(lease).owner

            await until(taken, "the other one to take over")
            assert not cut_off._arrivals.is_here("balances"), "it still believes to hold the lease"
            await other.dispatch(Deposit("a", 10))
            await other.settle(10)
            wire.mend()
            await until(lambda: _shows(cut_off, 11), "the one that was cut off")
            await other.dispatch(Deposit("a", 100))
            await other.settle(10)
            assert (await other.verify()).ok


async def _shows(app, balance):
    return [row.balance for row in await app.ask(Richest())] == [balance]


async def test_f24_connections_that_were_cut_are_made_anew(wire):
    async with App("bank", BANK, write=wire.url) as app:
        for n in range(10):
            done, said = await tried_until_answered(app, Deposit("a", 1), f"c-{n}")
            assert all(isinstance(one, StoreUnavailable | OutcomeUnknown) for one in said)
            wire.cut()
            rows = await app.ask(Richest(), after=done.token, within_s=20)
            assert [row.balance for row in rows] == [n + 1]


class Turnover(ReadModel, key="day"):
    day: str
    amount: int = 0


class Turnovers(Projection[Turnover]):
    @keyed_by(lambda event: "all")
    def moved(self, row: Turnover, event: Deposited | Withdrawn) -> None:
        row.amount += event.amount


@pytest.mark.timeout(180)
async def test_f29_a_slow_read_store_takes_no_memory_and_holds_up_nobody(wire, tmp_path):
    count, keys = 100_000, 50
    app = App(
        "bank",
        [*BANK, Turnovers],
        write=f"sqlite:///{tmp_path}/bank.db",
        read={Balances: wire.url, Turnovers: f"sqlite:///{tmp_path}/bank.db"},
    )
    async with app:
        slow, fast = app.sources[Balances], app.sources[Turnovers]
        wire.latency_s, wire.bytes_per_s = 0.25, 10_000
        tracemalloc.start()
        for first in range(0, count, 1_000):
            events = tuple(
                EventToStore(
                    "Deposited", 1, b'{"account_id":"%d","amount":1}' % (n % keys), b"{}", ()
                )
                for n in range(first, first + 1_000)
            )
            await app.log.append(Append((StreamAppend(f"burst-{first}", ANY_VERSION, events),)))

        async def all_seen():
            return (await fast.store.checkpoint(fast.plan.name)).position == count

        await until(all_seen, "the other projection", 60)
        status = {one.name: one for one in await app.status()}
        behind = status["balances"]
        assert behind.position < count, "it was to be slow"
        assert behind.lag_events == count - behind.position
        wire.latency_s = 0.05
        await app.settle(120)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 48 << 20, f"{peak >> 20} MB for a burst of which a batch is a twentieth"
        assert (await slow.store.count("balances")) == keys
        rows = await app.ask(Richest())
        assert {row.balance for row in rows} == {count // keys}
