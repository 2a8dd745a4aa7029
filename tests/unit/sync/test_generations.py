"""Generations of rows in one process: switched under way in every order that a seed gives."""

from __future__ import annotations

import asyncio
import os
from asyncio import CancelledError, create_task, gather, sleep
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
    Richest,
)

from diptych import App, Projection, Query, Reader, ReadModel, Sql, SqlProjection
from diptych.errors import ConfigurationError, LeaseLost, StaleRead, StoreError
from diptych.operations.generations_compared import GenerationsCompared, compare_rows
from diptych.queries.parked import Parked
from diptych.queries.read_store import Change, Row
from diptych.queries.standings import Lease, LeaseSwap
from diptych.sync.lease import Leases, held
from diptych.sync.rebuild import Rebuild
from diptych.testing.seeded import for_each_seed

SEEDS = int(os.environ.get("GENERATION_SEEDS", "12"))


class Session:
    """Somebody who reads again and again, and must never see time go back."""

    def __init__(self, app: App, environment: Any) -> None:
        self._app = app
        self._environment = environment
        self.reads = 0

    async def read(self, put_in: dict[str, int], stop: list[bool]) -> None:
        seen = dict.fromkeys("abc", 0)
        while not stop:
            account = self._environment.random.choice("abc")
            least, token = put_in[account], await self._app.head_token()
            asks_for_it = self._environment.random.random() < 0.5
            row = await self._app.ask(GetBalance(account), after=token if asks_for_it else None)
            balance = 0 if row is None else row.balance
            assert balance >= seen[account], "time went back"
            assert balance >= least or not asks_for_it, "older than its token"
            seen[account] = balance
            self.reads += 1
            await self._environment.sleep(self._environment.random.random() * 0.01)


async def deposit(app: App, environment: Any, put_in: dict[str, int], stop: list[bool]) -> None:
    while not stop:
        account = environment.random.choice("abc")
        await app.dispatch(Deposit(account, 1))
        put_in[account] += 1
        await environment.sleep(environment.random.random() * 0.002)


def test_f33_no_session_sees_time_go_back_in_any_order_of_steps():
    async def main(environment: Any) -> int:
        put_in, stop = dict.fromkeys("abc", 0), []
        async with App("bank", BANK, environment=environment) as app:
            sessions = [Session(app, environment) for _ in range(3)]
            tasks = [create_task(one.read(put_in, stop)) for one in sessions]
            tasks.append(create_task(deposit(app, environment, put_in, stop)))
            generations = app.generations(Balances)
            for _ in range(3):
                await generations.build()
                await generations.switch()
                if environment.random.random() < 0.5:
                    await generations.switch_back()
                    await generations.switch()
                assert [one.role for one in await generations.list()] == ["kept", "served"]
                await generations.drop()
            stop.append(True)
            await gather(*tasks)
            await app.settle()
            assert (await app.verify()).ok
            return sum(one.reads for one in sessions)

    assert min(for_each_seed(main, range(SEEDS))) > 10


class Sums(SqlProjection):
    schema = ("CREATE TABLE sums(id TEXT PRIMARY KEY)",)
    tables = ("sums",)

    def deposited(self, sql: Sql, event: Deposited) -> None:
        sql("SELECT 1")


async def test_f33_what_cannot_be_built_beside_itself_is_refused(tmp_path):
    url = f"sqlite:///{tmp_path}/bank.db"
    async with App("bank", [*BANK, Sums], write=url, inline=[Balances]) as app:
        with pytest.raises(ConfigurationError, match="balances is inline"):
            await app.generations(Balances).build()
        with pytest.raises(ConfigurationError, match="writes its own SQL"):
            await app.generations(Sums).build()
    for_view = App("bank", [Account, viewed()], write=url)
    async with for_view as app:
        with pytest.raises(ConfigurationError, match="is a view"):
            await app.generations("account_sums").build()


def viewed() -> type:
    from diptych import ReadModel, View

    class AccountSum(ReadModel, key="account_id"):
        account_id: str

    class AccountSums(View[AccountSum]):
        sql = "SELECT 'a' AS account_id"

    return AccountSums


async def test_f33_a_gate_that_says_no_changes_nothing():
    async with App("bank", BANK) as app:
        await app.dispatch(Deposit("a", 1))
        generations = app.generations(Balances)
        await generations.build()
        with pytest.raises(ConfigurationError, match="the gate refused it"):
            await generations.switch(lambda compared: not compared.same)
        assert [one.role for one in await generations.list()] == ["served", "building"]
        await generations.switch(lambda compared: compared.same)
        assert [one.role for one in await generations.list()] == ["kept", "served"]


async def test_f33_somebody_else_who_switches_meanwhile_is_noticed():
    async with App("bank", BANK) as app:
        await app.dispatch(Deposit("a", 1))
        generations = app.generations(Balances)
        await generations.build()
        store = app.sources[Balances].store
        switch, roles = type(store).switch, []

        async def first_somebody_else(self: Any, before: Any, after: Any, epochs: Any) -> bool:
            if not roles:
                roles.append(await switch(self, before, after))
            return await switch(self, before, after, epochs)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(store), "switch", first_somebody_else)
            with pytest.raises(ConfigurationError, match="somebody else has switched balances"):
                await generations.switch()


async def test_f33_what_is_read_is_never_dropped():
    async with App("bank", BANK) as app:
        await app.dispatch(Deposit("a", 1))
        generations = app.generations(Balances)
        assert await generations.drop() == []
        rebuild = generations._rebuild()
        with pytest.raises(ConfigurationError, match="balances is read, so it is not dropped"):
            await rebuild.drop("balances")
        await app.dispatch(Deposit("a", 1))
        await app.settle()
        assert await app.ask(Richest())


async def spoil(app: App, account: str) -> None:
    source = app.sources[Balances]
    at = (await source.store.checkpoint(source.plan.name)).position
    row = Row(account, at, Balance(account_id=account, balance=99))
    await source.store.apply([Change(source.plan.name, at, at, [row])])


async def test_f33_a_comparison_names_exactly_the_keys_that_differ():
    """Also when events come while it reads, and when a difference shows only after them."""
    async with App("bank", BANK) as app:
        for account in ("a", "b", "c", "d"):
            await app.dispatch(Deposit(account, 1))
        await app.settle()
        generations = app.generations(Balances)
        await generations.build()
        await spoil(app, "b")
        await spoil(app, "d")
        await app.dispatch(Deposit("a", 5))
        compared = await generations.compare([GetBalance("a"), GetBalance("b")])
        assert compared.differing == ("b", "d")
        assert [
            (query.account_id, now.balance, then.balance) for query, now, then in compared.answers
        ] == [("b", 99, 1)]
        assert (compared.old_rows, compared.new_rows, compared.queries) == (4, 4, 2)


class Again:
    """Another version of the projection, which is wrong about deposits of 5."""

    class Balances(Projection[Balance], version=2):
        def deposited(self, row: Balance, event: Deposited) -> None:
            row.balance += 50 if event.amount == 5 else event.amount


async def test_f33_a_difference_that_comes_while_rows_are_compared_is_found(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path}/bank.db"
    new = App("bank", [Account, Again.Balances], write=url)
    async with App("bank", BANK, write=url) as old, new:
        for account in ("a", "b"):
            await old.dispatch(Deposit(account, 1))
        generations = new.generations(Again.Balances)
        await generations.build()

        async def and_then_comes_a_deposit(*sides: Any) -> GenerationsCompared:
            compared = await compare_rows(*sides)
            assert compared.same
            await old.dispatch(Deposit("a", 5))
            await old.settle()
            return compared

        monkeypatch.setattr("diptych.operations.generations.compare_rows", and_then_comes_a_deposit)
        assert (await generations.compare()).differing == ("a",)


async def test_f33_what_was_skipped_stays_skipped_in_new_rows():
    async with App("bank", BANK) as app:
        for _ in range(3):
            await app.dispatch(Deposit("a", 1))
        await app.settle()
        generations = app.generations(Balances)
        await generations.build()
        await skip(app, 2)
        with pytest.raises(
            ConfigurationError, match="skipped in balances that balances__1 has folded"
        ):
            await generations.switch()
        assert [one.role for one in await generations.list()] == ["served", "building"]
        await generations.build()
        await generations.switch()
        assert (await app.ask(GetBalance("a"))).balance == 2
        assert [
            one.position for one in await app.sources[Balances].store.parked("balances__1")
        ] == [2]


async def skip(app: App, position: int) -> None:
    source = app.sources[Balances]
    stands = (await source.store.checkpoint("balances")).position
    [stored] = await app.log.read(position - 1, 1)
    entry = Parked("a", position, stored.stream, stored.type, "skipped", reason="wrong")
    await source.store.apply([Change("balances", stands, stands, parked=[entry])])


async def test_f33_what_was_read_before_is_not_built_on():
    """What an interrupted drop leaves behind is no unfinished build."""
    async with App("bank", BANK) as app:
        await app.dispatch(Deposit("a", 1))
        await app.settle()
        generations = app.generations(Balances)
        await spoil(app, "a")
        await generations.build()
        await generations.switch()
        assert await generations._rebuild().retire() == ["balances"]
        with pytest.raises(ConfigurationError, match="no generation that was built"):
            await generations.switch()
        assert await generations.build() == "balances__2"
        assert await generations.switch() == "balances__2"
        assert (await app.ask(GetBalance("a"))).balance == 1
        assert await generations.drop() == ["balances", "balances__1"]


async def test_f33_rows_kept_do_not_overtake_those_read_instead():
    """Who has not noticed the switch yet still reads them, and the others next."""
    async with App("bank", BANK) as app:
        await app.dispatch(Deposit("a", 1))
        await app.settle()
        generations = app.generations(Balances)
        await generations.build()
        await generations.switch()
        store = app.sources[Balances].store
        lease = (await store.checkpoint("balances__1")).lease
        await store.swap_leases([LeaseSwap("balances__1", lease, Lease(lease.epoch + 1, "{}"))])
        await hold_still(app, "balances__1")
        done = await app.dispatch(Deposit("a", 1))
        with pytest.raises(StaleRead):
            await app.ask(GetBalance("a"), after=done, within_s=0.3)
        stands = await store.checkpoints(["balances", "balances__1"])
        assert stands["balances"].position == stands["balances__1"].position == 1


async def hold_still(app: App, name: str) -> None:
    from diptych.sync.lease import Leases

    store = app.sources[Balances].store
    leases = Leases(store, [name], app.environment, shares=False, why="a test")
    await leases.seize()
    app.holding = create_task(leases.keep(lambda _: None))


def test_the_throttle_keeps_its_rate_and_progress_is_told():
    async def main(environment: Any) -> None:
        async with App("bank", BANK, environment=environment) as app:
            for _ in range(100):
                await app.dispatch(Deposit("a", 1))
            told: list[tuple[int, int]] = []
            began = environment.monotonic_s()
            await app.generations(Balances).build(
                throttle=20, progress=lambda done, total: told.append((done, total))
            )
            took = environment.monotonic_s() - began
            assert 4.5 < took < 6
            assert told[-1] == (100, 100)
            assert [done for done, _ in told] == list(range(5, 101, 5))

    for_each_seed(main, range(3))


async def test_f33_changed_code_is_noticed_at_the_start(tmp_path, caplog):
    url = f"sqlite:///{tmp_path}/bank.db"
    async with App("bank", BANK, write=url) as app:
        await app.dispatch(Deposit("a", 1))
        await app.settle()
    for other, state in ((recoded(), "live"), (again(), "changed")):
        async with App("bank", [Account, other], write=url) as app:
            await until_state(app, state)
            [status] = await app.status()
            assert "diptych projections rebuild balances" in status.why


async def until_state(app: App, state: str) -> None:
    for _ in range(500):
        if (await app.status())[0].state == state:
            return
        await app.environment.sleep(0.01)
    raise AssertionError(f"never {state}")


def recoded() -> type:
    class Balances(Projection[Balance]):
        def deposited(self, row: Balance, event: Deposited) -> None:
            row.balance = row.balance + event.amount

    return Balances


def again() -> type:
    class Balances(Projection[Balance], version=2):
        def deposited(self, row: Balance, event: Deposited) -> None:
            row.balance = row.balance + event.amount

    return Balances


@pytest.mark.parametrize("inline", [[], [Balances]])
async def test_f33_a_rebuild_in_place_that_was_killed_before_it_emptied_anything_begins_anew(
    inline, monkeypatch, tmp_path
):
    class Killed(BaseException):
        pass

    async def killed(_: object) -> None:
        raise Killed

    async def nothing(_: Leases) -> None: ...

    url = f"sqlite:///{tmp_path}/bank.db"
    async with App("bank", BANK, write=url, inline=inline) as app:
        await app.dispatch(Deposit("a", 5))
        await app.settle()
    app = await App("bank", BANK, write=url, inline=inline).open(projections=False)
    store = app.sources[Balances].store
    at = (await store.checkpoint("balances")).position
    await store.apply([Change("balances", at, at, [Row("a", at, Balance("a", 99))])])
    with monkeypatch.context() as patch:
        patch.setattr(store, "reset", killed)
        patch.setattr(Leases, "release", nothing)  # who was killed lets go of nothing
        with pytest.raises(Killed):
            await app.rebuild(Balances, in_place=True)
    await app.rebuild(Balances, in_place=True)
    assert await app.ask(GetBalance("a")) == Balance("a", 5)
    await app.close()


async def test_f33_projections_run_again_where_starting_them_anew_was_cancelled(monkeypatch):
    async with App("bank", BANK) as app:
        await app.dispatch(Deposit("a", 1))
        await app.settle()
        generations = app.generations(Balances)
        await generations.build()
        await generations.switch()
        own = app._panels._stop

        async def cancelled(store: Any) -> None:
            await own(store)
            raise CancelledError

        with monkeypatch.context() as patch:
            patch.setattr(app._panels, "_stop", cancelled)
            with pytest.raises(CancelledError):
                await generations.drop()
        done = await app.dispatch(Deposit("a", 2))
        assert await app.ask(GetBalance("a"), after=done, within_s=20) == Balance("a", 3)


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


async def test_f33_a_query_of_rows_that_were_dropped_is_answered_from_those_read_instead(tmp_path):
    """Its process was stopped while others switched, waited for it in vain, and dropped."""
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
            assert await asker.ask(GetBalance("a")) == Balance("a", 5)
            assert await asker.ask(GetBalance("a"), after=done) == Balance("a", 5)


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
