"""Rows that are switched, emptied or dropped while somebody reads or moves them."""

from __future__ import annotations

import asyncio
from asyncio import create_task, sleep
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from banking import (
    BANK,
    Account,
    Balance,
    Balances,
    Deposit,
    Deposited,
    GetBalance,
)

from diptych import App, Projection, Query, Reader, ReadModel
from diptych.errors import LeaseLost, StaleRead, StoreError
from diptych.queries.handler import QueryHandler
from diptych.sync.lease import held
from diptych.sync.rebuild import Rebuild


async def test_f33_folding_on_the_spot_looks_again_when_rows_are_set_back_meanwhile(monkeypatch):
    async with App("bank", BANK) as app:
        for _ in range(5):
            await app.dispatch(Deposit("a", 1))
        await app.settle()
        source = app.sources[Balances]
        await app._panels._stop(source.store)
        await app.dispatch(Deposit("a", 1))
        own, looks = source.store.load, []

        async def load(projection: str, keys: Any) -> Any:
            looks.append(keys)
            if len(looks) == 1:
                await source.store.reset(source.plan.table)
            return await own(projection, keys)

        monkeypatch.setattr(source.store, "load", load)
        found = await app.ask(GetBalance("a"), consistency="write_model")
        assert found == Balance("a", 6)
        assert len(looks) == 2


class Count(ReadModel, key="account_id"):
    account_id: str
    times: int = 0


class Counts(Projection[Count]):
    def deposited(self, row: Count, event: Deposited) -> None:
        row.times += 1


class GetBoth(Query[list[Any]]):
    account_id: str


async def get_both(query: GetBoth, balances: Reader[Balance], counts: Reader[Count]) -> list[Any]:
    return [await balances.get(query.account_id), await counts.get(query.account_id)]


class Superstitious(Projection[Balance]):
    def deposited(self, row: Balance, event: Deposited) -> None:
        if event.amount in BAD:
            raise ValueError(f"{event.amount} is bad")
        row.balance += event.amount


BAD: set[int] = set()


async def test_r10_rows_switched_to_while_a_query_waits_are_not_older_than_its_token(
    monkeypatch, tmp_path
):
    """It waits for its second read model; the first one's new rows lack what is parked of them."""
    BAD.clear()
    parts = [Account, Superstitious, Counts, get_both]
    async with App("bank", parts, read={Counts: f"sqlite:///{tmp_path}/counts.db"}) as app:
        await app.dispatch(Deposit("a", 1))
        await app.settle()
        counts = app.sources[Counts]
        await app._panels._stop(counts.store)
        done = await app.dispatch(Deposit("a", 13))
        assert await app._freshness.wait(app.sources[Superstitious], 2, 20)
        BAD.add(13)
        generations = app.generations(Superstitious)
        await generations.build()
        waits, own = asyncio.Event(), counts.store.checkpoint

        async def checkpoint(projection: str) -> Any:
            waits.set()
            return await own(projection)

        monkeypatch.setattr(counts.store, "checkpoint", checkpoint)
        asking = create_task(app.ask(GetBoth("a"), after=done, within_s=20))
        await waits.wait()
        await generations.switch()
        await app._panels._start(counts.store, [counts])
        with pytest.raises(StaleRead, match="'a' is parked since position 2"):
            await asking


async def test_r10_rows_emptied_and_filled_again_under_a_query_are_read_again(monkeypatch):
    """It waited for its rows, then read them while they were gone; by its end they are back."""
    async with App("bank", BANK) as app:
        done = await app.dispatch(Deposit("a", 5))
        await app.settle()
        store, load = app.sources[Balances].store, app.sources[Balances].store.load
        emptied, read, catch_up = asyncio.Event(), asyncio.Event(), Rebuild._catch_up

        async def catch_up_later(self: Rebuild, *arguments: Any) -> None:
            emptied.set()
            await read.wait()
            await catch_up(self, *arguments)

        async def load_what_is_gone(name: str, keys: list[str]) -> Any:
            monkeypatch.setattr(store, "load", load)
            rebuilding = create_task(app.rebuild(Balances, in_place=True))
            await emptied.wait()
            found = await load(name, keys)
            assert not found.rows
            read.set()
            await rebuilding
            return found

        monkeypatch.setattr(Rebuild, "_catch_up", catch_up_later)
        monkeypatch.setattr(store, "load", load_what_is_gone)
        row = await app.ask(GetBalance("a"), after=done, within_s=10)
        assert emptied.is_set()
        assert row == Balance("a", 5)


async def test_rows_that_are_read_again_are_moved_again():
    """Somebody switches, and back, before this process has noticed: its rows are led by nobody."""
    async with App("bank", BANK) as app:
        await app.dispatch(Deposit("a", 1))
        await app.settle()
        store = app.sources[Balances].store
        assert await app.generations(Balances).build() == "balances__1"
        for task in app._panels._tasks:
            task.cancel()  # those that look for switches come too late
        assert await store.switch(
            {"balances": "served", "balances__1": "building"},
            {"balances": "kept", "balances__1": "served"},
        )
        async with held(store, "balances", app.environment, "a test"):
            pass
        member, _ = app._panels.members["balances"]
        for _ in range(500):
            if member.role == "kept":
                break
            await sleep(0.01)
        assert await store.switch(
            {"balances": "kept", "balances__1": "served"},
            {"balances": "served", "balances__1": "building"},
        )
        done = await app.dispatch(Deposit("a", 1))
        row = await app.ask(GetBalance("a"), after=done, within_s=5)
        assert row.balance == 2


async def test_f33_a_runner_whose_rows_are_dropped_under_it_goes_on_with_what_is_read(
    tmp_path, monkeypatch
):
    """It was stopped for as long as others took to switch and to drop, and then loads rows."""
    url = f"sqlite:///{tmp_path}/bank.db"
    other = await App("bank", BANK, write=url).open(projections=False)
    async with App("bank", BANK, write=url) as app, other:
        await app.dispatch(Deposit("a", 1))
        await app.settle()
        for task in app._panels._tasks:
            task.cancel()  # those that look for switches come too late
        source, store = app.sources[Balances], other.sources[Balances].store
        new = await other.generations(Balances).build()
        load, failed = source.store.load, asyncio.Event()

        async def load_too_late(name: str, keys: list[str]) -> Any:
            await store.switch(
                {"balances": "served", new: "building"}, {"balances": "building", new: "served"}
            )
            await store.drop(source.plan.table)
            try:
                return await load(name, keys)
            except StoreError:
                failed.set()
                raise

        monkeypatch.setattr(source.store, "load", load_too_late)
        member, _ = app._panels.members["balances"]
        await app.dispatch(Deposit("a", 1))
        async with asyncio.timeout(10):
            await failed.wait()
        await sleep(0.3)
        assert member.state != "failed"
        assert [one.name for one in await store.generations("balances")] == [new]
        monkeypatch.setattr(source.store, "load", load)
        await app._panels.choose_again(source)
        await app.settle()
        assert (await app.ask(GetBalance("a"))).balance == 2


@asynccontextmanager
async def slept_through_a_drop(tmp_path: Path) -> AsyncIterator[tuple[App, Any]]:
    """A process that was stopped while others switched, waited for it in vain, and dropped; and a
    token of what it is to be asked for."""
    url = f"sqlite:///{tmp_path}/bank.db"
    async with App("bank", BANK, write=url) as app:
        done = await app.dispatch(Deposit("a", 5))
        asker = await App("bank", BANK, write=url).open(projections=False)
        async with asker:
            for task in asker._panels._tasks:
                task.cancel()
            generations = app.generations(Balances)
            await generations.build()
            await generations.switch()
            await generations.drop()
            yield asker, done


@pytest.mark.parametrize("consistency", ["eventual", "write_model"])
async def test_f33_a_query_of_rows_that_were_dropped_is_answered_from_those_read_instead(
    tmp_path, consistency
):
    async with slept_through_a_drop(tmp_path) as (asker, done):
        assert await asker.ask(GetBalance("a"), consistency=consistency) == Balance("a", 5)
        assert await asker.ask(GetBalance("a"), after=done) == Balance("a", 5)


async def test_f33_a_query_is_answered_whose_error_comes_after_another_ones(tmp_path, monkeypatch):
    """By then what is read has been chosen again."""
    async with slept_through_a_drop(tmp_path) as (asker, _):
        store, answered = asker.sources[Balances].store, asyncio.Event()
        load, loads = store.load, []

        async def first_error_is_late(name: str, keys: list[str]) -> Any:
            loads.append(name)
            first = len(loads) == 1
            try:
                return await load(name, keys)
            except StoreError:
                if first:
                    await answered.wait()
                raise

        monkeypatch.setattr(store, "load", first_error_is_late)
        late = create_task(asker.ask(GetBalance("a")))
        await sleep(0)
        assert await asker.ask(GetBalance("a")) == Balance("a", 5)
        answered.set()
        assert await late == Balance("a", 5)


async def test_r10_a_query_whose_rows_change_hands_all_the_time_is_given_up(monkeypatch):
    """Nobody can say that they were not emptied each time: that must end, and in time."""
    async with App("bank", BANK) as app:
        done = await app.dispatch(Deposit("a", 5))
        await app.settle()
        store, answer, looks = app.sources[Balances].store, QueryHandler.answer, []

        async def taken_meanwhile(self: QueryHandler, *arguments: Any, **options: Any) -> Any:
            looks.append(self)
            async with held(store, "balances", app.environment, "a test"):
                await sleep(0.01)
            return await answer(self, *arguments, **options)

        monkeypatch.setattr(QueryHandler, "answer", taken_meanwhile)
        async with asyncio.timeout(20):
            with pytest.raises(StaleRead, match="nobody can say that they were new enough"):
                await app.ask(GetBalance("a"), after=done, within_s=0.2)
        assert len(looks) > 1


async def test_rows_that_were_dropped_cannot_be_held(tmp_path):
    url = f"sqlite:///{tmp_path}/bank.db"
    async with App("bank", BANK, write=url) as app, App("bank", BANK, write=url) as other:
        generations, store = app.generations(Balances), other.sources[Balances].store
        await generations.build()
        await generations.switch()
        await generations.drop()
        with pytest.raises(LeaseLost, match="balances is not there"):
            async with asyncio.timeout(5), held(store, "balances", other.environment, "a test"):
                pass
