"""A server at the end of a bad wire: lost answers, silence, slowness (F03, F24, F28, F29)."""

from __future__ import annotations

import asyncio
import tracemalloc
from functools import partial

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


def impatient(url):
    """The same store for an application that gives up early."""
    return url + "&timeout_s=0.5"


async def refused(call, within_s=15):
    """What a call to a store that says nothing is told, and that it is told in time."""
    with pytest.raises(StoreError) as told:
        await by_itself(call, within_s)
    return told.value


async def by_itself(call, within_s=15):
    """The result of what ends in time by itself: a cancelled append would say something, too."""
    calling = asyncio.ensure_future(call)
    done, _ = await asyncio.wait([calling], timeout=within_s)
    assert done, f"nothing was said within {within_s} s"
    return await calling


@pytest.fixture
async def hung(wire):
    """An application that has seen an event, and whose store then says nothing any more."""
    async with App("bank", BANK, write=impatient(wire.url)) as app:
        done = await app.dispatch(Deposit("a", 1))
        await app.ask(Richest(), after=done.token, within_s=20)
        wire.silence()
        yield app, done.token
        wire.mend()


@pytest.mark.parametrize("inline", [(), (Balances,)], ids=["async", "inline"])
async def test_f24_a_command_to_a_silent_store_is_said_to_be_unknown_and_happens_once(wire, inline):
    async with App("bank", BANK, write=impatient(wire.url), inline=inline) as app:
        await app.dispatch(Deposit("a", 1))
        for n in (7_001, 7_002):
            wire.silence()
            command = Deposit("b" * (n - 7_000), n)
            said = await refused(app.dispatch(command, id=f"c-{n}"))
            assert isinstance(said, OutcomeUnknown | StoreUnavailable)
            wire.mend()
            await tried_until_answered(app, command, f"c-{n}")
            stored = [one for one in await app.log.read(0, 1000) if f":{n}}}".encode() in one.data]
            assert len(stored) == 1
        await app.settle(20)
        assert (await app.verify()).ok


async def test_f24_an_append_that_was_sent_into_silence_is_unknown_to_all_of_its_batch(hung):
    app, _ = hung
    event = EventToStore("Deposited", 1, b'{"account_id":"b","amount":1}', b"{}", ())
    appends = [
        app.log.append(Append((StreamAppend(f"b-{n}", ANY_VERSION, (event,)),))) for n in range(64)
    ]
    async with asyncio.timeout(15):
        said = await asyncio.gather(*appends, return_exceptions=True)
    assert {type(one) for one in said} <= {OutcomeUnknown, StoreUnavailable}
    assert any(isinstance(one, OutcomeUnknown) for one in said)


@pytest.mark.parametrize("how", ["a query", "a token", "status", "settle", "the log", "own SQL"])
async def test_f24_whoever_reads_a_silent_store_is_told_and_reads_again_once_it_speaks(
    hung, wire, how
):
    app, token = hung
    read = {
        "a query": lambda: app.ask(Richest(), within_s=1),
        "a token": lambda: app.ask(Richest(), after=token, within_s=1),
        "status": app.status,
        "settle": lambda: app.settle(5),
        "the log": lambda: app.log.read(0, 10),
        "own SQL": lambda: app.sources[Balances].store.select("SELECT 1 AS one"),
    }[how]
    assert isinstance(await refused(read()), StoreUnavailable)
    assert isinstance(await refused(read()), StoreUnavailable), "nor on a connection made anew"
    wire.mend()
    async with asyncio.timeout(15):
        await read()


async def test_f24_connections_that_somebody_on_the_way_has_forgotten_are_made_anew(wire):
    async with App("bank", BANK, write=impatient(wire.url)) as app:
        await app.dispatch(Deposit("a", 1))
        await app.settle(10)
        for n in range(3):
            wire.strand()
            done, _ = await by_itself(tried_until_answered(app, Deposit("a", 1), f"c-{n}"))
            asking = partial(app.ask, Richest(), after=done.token, within_s=10)
            rows = await by_itself(_answered(asking))
            assert [row.balance for row in rows] == [n + 2]


async def test_f24_a_runner_goes_on_by_itself_and_meanwhile_another_process_takes_over(
    wire, postgres_url
):
    direct = postgres_url + "&sslmode=prefer"
    async with App("bank", BANK, write=impatient(wire.url)) as cut_off:
        await cut_off.dispatch(Deposit("a", 1))
        await cut_off.settle(10)
        wire.silence()
        async with App("bank", BANK, write=direct) as other:
            await other.dispatch(Deposit("a", 10))
            await other.settle(20)
        wire.mend()
        await tried_until_answered(cut_off, Deposit("a", 100), "c-1")
        await until(lambda: _shows(cut_off, 111), "the one that was cut off")


async def test_f24_who_waits_for_events_hears_of_them_though_its_connections_are_forgotten(
    wire, postgres_url
):
    async with App("bank", BANK, write=impatient(wire.url)) as app:
        await app.dispatch(Deposit("a", 1))
        waiting = asyncio.ensure_future(app.log.wait(1))
        await app.settle(10)
        wire.strand()
        async with App("bank", BANK, write=postgres_url + "&sslmode=prefer") as other:
            await other.dispatch(Deposit("a", 1))
            async with asyncio.timeout(15):
                assert await waiting == 2


async def test_f24_an_application_whose_store_is_silent_can_be_closed(wire):
    app = App("bank", BANK, write=impatient(wire.url))
    await app.open()
    await app.dispatch(Deposit("a", 1))
    await app.settle(10)
    wire.silence()
    asking = asyncio.ensure_future(refused(app.ask(Richest())))
    doing = asyncio.ensure_future(refused(app.dispatch(Deposit("a", 2), id="c-1")))
    await asyncio.sleep(0)
    async with asyncio.timeout(40):
        await app.close()
        await asking
        await doing


async def test_f24_a_statement_that_runs_long_on_a_living_server_is_left_alone(wire):
    async with App("bank", BANK, write=impatient(wire.url)) as app:
        store = app.sources[Balances].store
        silence_s = store._location.silence_s
        assert await store.select(f"SELECT 1 AS one FROM pg_sleep({silence_s * 2})") == [{"one": 1}]
        waiting = asyncio.ensure_future(refused(store.select("SELECT pg_sleep(600)")))
        await asyncio.sleep(0)
        wire.silence()
        assert isinstance(await waiting, StoreUnavailable)


async def test_f24_an_answer_that_comes_slowly_is_waited_for(wire):
    async with App("bank", BANK, write=wire.url + "&timeout_s=4") as app:
        event = EventToStore("Deposited", 1, b'{"account_id":"b","amount":1}', b" " * 9_000, ())
        await app.log.append(Append((StreamAppend("b", ANY_VERSION, (event,) * 30),)))
        wire.latency_s, wire.bytes_per_s = 0.25, 20_000
        assert len(await app.log.read(0, 100)) == 30
        done = await app.log.append(Append((StreamAppend("c", ANY_VERSION, (event,) * 30),)))
        assert done.first == 31


async def _answered(call):
    while True:
        try:
            return await call()
        except StoreUnavailable:
            continue


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
