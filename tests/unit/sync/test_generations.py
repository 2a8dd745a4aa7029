"""Generations of rows in one process: switched under way in every order that a seed gives."""

from __future__ import annotations

import os
from asyncio import CancelledError, create_task, gather
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

from diptych import App, Projection, ReadModel, Sql, SqlProjection
from diptych.errors import ConfigurationError, StaleRead
from diptych.operations.generations_compared import GenerationsCompared, compare_rows
from diptych.queries.parked import Parked
from diptych.queries.read_store import Change, Row
from diptych.queries.standings import Lease, LeaseSwap
from diptych.sync.lease import Leases
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
    from diptych import View

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

    async def killed(*_: object) -> None:
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
