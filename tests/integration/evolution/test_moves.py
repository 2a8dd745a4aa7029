"""A running application moves to its next stage, and back, while commands keep arriving."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select, update

from diptych import (
    Aggregate,
    App,
    Command,
    Event,
    Projection,
    Query,
    Reader,
    ReadModel,
    Rejection,
    View,
)
from diptych.adapters.sqlalchemy import engine_for, mapped
from diptych.errors import ConfigurationError
from diptych.evolution import Evolution
from diptych.operations.evolution.transition import NotYet


class Deposit(Command):
    account_id: str
    amount: int


class Deposited(Event):
    account_id: str
    amount: int


class Account(Aggregate, key="account_id"):
    balance: int = 0
    deposits: int = 0

    def deposit(self, command: Deposit) -> Deposited:
        if command.amount < 1:
            raise Rejection("nothing to deposit")
        return Deposited(command.account_id, command.amount)

    def deposited(self, event: Deposited) -> None:
        self.balance += event.amount
        self.deposits += 1


class Balance(ReadModel, key="account_id", indexes=("balance",)):
    account_id: str
    balance: int = 0
    deposits: int = 0


class BalancesByTable(View[Balance]):
    sql = "SELECT account_id, balance, deposits FROM accounts"


class Balances(Projection[Balance]):
    def deposited(self, row: Balance, event: Deposited) -> None:
        row.balance += event.amount
        row.deposits += 1


class WrongBalances(Projection[Balance]):
    def deposited(self, row: Balance, event: Deposited) -> None:
        row.balance += event.amount + (event.amount > 50)
        row.deposits += 1


class GetBalance(Query[Balance | None]):
    account_id: str


class FindRich(Query[list[Balance]]):
    least: int = 0


async def get_balance(query: GetBalance, balances: Reader[Balance]) -> Balance | None:
    return await balances.get(query.account_id)


async def find_rich(query: FindRich, balances: Reader[Balance]) -> list[Balance]:
    return await balances.find(balance__gte=query.least, order_by="-balance")


metadata = MetaData()
accounts = Table(
    "accounts",
    metadata,
    Column("account_id", String, primary_key=True),
    Column("balance", Integer, nullable=False),
    Column("deposits", Integer, nullable=False),
    Column("version", Integer, nullable=False, server_default="0"),
)


async def genesis(session, key):
    found = await session.execute(select(accounts).where(accounts.c.account_id == key))
    row = found.one()
    # As many deposits as there were, in sum what they were.
    first = Deposited(key, row.balance - row.deposits + 1)
    return [first, *(Deposited(key, 1) for _ in range(row.deposits - 1))]


TABLES = [mapped(Account, accounts, genesis=genesis)]
QUERIES = [get_balance, find_rich]


def stage1(url):
    parts = [Account, BalancesByTable, *QUERIES]
    return App("bank", parts, write=url, tables=TABLES, keep_events=False)


def stage3(url, projection=Balances):
    return App("bank", [Account, projection, *QUERIES], write=url, tables=TABLES)


def stage5(url):
    return App("bank", [Account, Balances, *QUERIES], write=url)


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request, tmp_path):
    if request.param == "sqlite":
        where = f"sqlite:///{tmp_path}/bank.db"
    else:
        where = request.getfixturevalue("postgres_url")
        where += f"&search_path={request.getfixturevalue('postgres_schema')}"
        async with stage5(where):
            pass  # makes the schema, where the tables go, too
    engine = engine_for(where)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await engine.dispose()
    return where


@asynccontextmanager
async def customers(*evolutions, names=8, seed=None):
    """Deposits that arrive all the time, at every process; gives what was acknowledged."""
    seed = random.randrange(1 << 32) if seed is None else seed
    print(f"seed {seed}")  # noqa: T201  a failure can be repeated
    chance = random.Random(seed)
    paid: dict[str, list[int]] = {}
    stop = asyncio.Event()

    async def customer(name):
        while not stop.is_set():
            amount = chance.randint(1, 20)
            await chance.choice(evolutions).dispatch(Deposit(name, amount))
            paid.setdefault(name, []).append(amount)
            await asyncio.sleep(chance.random() * 0.04)

    tasks = [asyncio.create_task(customer(f"a{number}")) for number in range(names)]
    try:
        yield paid
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def some_more(paid, count=40):
    """Until so many more deposits were acknowledged."""
    before = sum(map(len, paid.values()))
    async with asyncio.timeout(60):
        while sum(map(len, paid.values())) < before + count:  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.005)


def expected(paid):
    return {name: Balance(name, sum(each), len(each)) for name, each in paid.items()}


async def answers(evolution, paid):
    token = await evolution.head_token()
    return {name: await evolution.ask(GetBalance(name), after=token, within_s=30) for name in paid}


def asked(paid):
    return [*(GetBalance(name) for name in paid), FindRich(), FindRich(50)]


async def test_nothing_is_lost_from_one_model_to_read_models_of_their_own_and_back(url):
    async with (
        Evolution("bank", old=stage1(url), new=stage3(url)) as here,
        Evolution("bank", old=stage1(url), new=stage3(url)) as there,
    ):
        async with customers(here, there) as paid:
            await some_more(paid)
            assert (await here.status()).phase == "old"
            assert len(await here.old.log.read(0, 10)) == 0, "no event is kept yet"
            await here.begin_shadow()
            await some_more(paid)
            comparison = await here.compare(asked(paid))
            assert comparison.different == ()
            assert comparison.compared > 0
            await here.cut_over(asked(paid))
            await some_more(paid)
            status = await there.status()
            assert (status.phase, status.decides, status.answers) == ("new", "new", "new")
            await there.roll_back("to see whether it can")
            await some_more(paid)
            assert (await here.status()).answers == "old"
        for evolution in (here, there):
            assert await answers(evolution, paid) == expected(paid)
        await here.cut_over(asked(paid))
        assert await answers(here, paid) == expected(paid)


async def test_nothing_is_lost_from_tables_to_events_and_back(url):
    async with (
        Evolution("bank", old=stage3(url), new=stage5(url)) as here,
        Evolution("bank", old=stage3(url), new=stage5(url)) as there,
    ):
        async with customers(here, there) as paid:
            await some_more(paid)
            await here.begin_shadow()
            await here.cut_over(asked(paid))
            await some_more(paid)
            rows = await balances_in_tables(url)
            await some_more(paid)
            assert await balances_in_tables(url) == rows, "tables are not written any more"
            await here.roll_back("to see whether it can")
            await some_more(paid, 100)
        for evolution in (here, there):
            assert await answers(evolution, paid) == expected(paid)
        for name in paid:  # one more each, and the tables have caught up
            await here.dispatch(Deposit(name, 1))
            paid[name].append(1)
        assert await balances_in_tables(url) == {
            name: (row.balance, row.deposits) for name, row in expected(paid).items()
        }


async def balances_in_tables(url):
    engine = engine_for(url)
    async with engine.connect() as connection:
        found = (await connection.execute(select(accounts))).all()
    await engine.dispose()
    return {row.account_id: (row.balance, row.deposits) for row in found}


async def test_a_process_that_has_not_heard_of_the_step_writes_nothing_in_ignorance(url):
    # Its phase is old, and it cannot look: the guard sends its command to the other side.
    async with (
        Evolution("bank", old=stage1(url), new=stage3(url)) as here,
        Evolution("bank", old=stage1(url), new=stage3(url)) as late,
    ):
        late._watching.cancel()
        await late.dispatch(Deposit("a", 1))
        assert len(await here.new.log.read_stream("Account-a")) == 0
        await here.begin_shadow()
        assert len(await here.new.log.read_stream("Account-a")) == 1
        assert late._phase == "old"
        await late.dispatch(Deposit("b", 5))
        assert len(await here.new.log.read_stream("Account-b")) == 1, "a row without its event"
        assert late._phase == "shadow"


async def test_an_interrupted_shadow_goes_on_where_it_was(url):
    async with stage1(url) as app:
        for number in range(120):
            await app.dispatch(Deposit(f"a{number:03}", number + 1))

    class Enough(Exception):
        pass

    def stop_soon(what, done, of):
        if what.startswith("genesis") and done >= 50:
            raise Enough

    async with Evolution("bank", old=stage1(url), new=stage3(url)) as evolution:
        with pytest.raises(Enough):
            await evolution.begin_shadow(stop_soon)
    told = []
    async with Evolution("bank", old=stage1(url), new=stage3(url)) as evolution:
        await evolution.begin_shadow(lambda *one: told.append(one))
        comparison = await evolution.compare([FindRich(), GetBalance("a007")])
        assert comparison.different == ()
        assert len(await evolution.ask(FindRich())) == 120
    assert ("genesis of Account", 120, None) in told


async def test_a_wrong_new_side_is_not_cut_over_without_a_reason(url):
    new = stage3(url, WrongBalances)
    async with Evolution("bank", old=stage1(url), new=new) as evolution:
        await evolution.dispatch(Deposit("a", 60))
        await evolution.dispatch(Deposit("b", 10))
        with pytest.raises(NotYet, match="only what was kept in shadow"):
            await evolution.cut_over([GetBalance("a")])
        await evolution.begin_shadow()
        comparison = await evolution.compare([GetBalance("a"), GetBalance("b")])
        (different,) = comparison.different
        assert (different.old.balance, different.new.balance) == (60, 61)
        with pytest.raises(NotYet, match="1 of 2 answers differ"):
            await evolution.cut_over([GetBalance("a"), GetBalance("b")])
        with pytest.raises(NotYet, match="0 of 0"):
            await evolution.cut_over([])
        assert (await evolution.status()).phase == "shadow"
        await evolution.cut_over([GetBalance("a")], because="the old one was wrong")
        assert (await evolution.ask(GetBalance("a"))).balance == 61
        with pytest.raises(NotYet, match="say why"):
            await evolution.roll_back("")


async def test_a_change_made_behind_our_back_is_noticed_by_the_comparison(url):
    async with Evolution("bank", old=stage1(url), new=stage3(url)) as evolution:
        await evolution.dispatch(Deposit("a", 5))
        await evolution.begin_shadow()
        engine = engine_for(url)
        async with engine.begin() as connection:
            await connection.execute(update(accounts).values(balance=99))
            await connection.execute(insert(accounts).values(account_id="z", balance=1, deposits=1))
        await engine.dispose()
        comparison = await evolution.compare([GetBalance("a"), GetBalance("z"), GetBalance("y")])
        assert [one.query.account_id for one in comparison.different] == ["a", "z"]


def test_sides_that_cannot_meet_are_refused(tmp_path):
    url = f"sqlite:///{tmp_path}/bank.db"
    with pytest.raises(ConfigurationError, match="keeps both tables and events"):
        Evolution("bank", old=stage1(url), new=stage5(url))
    with pytest.raises(ConfigurationError, match="keeps the write database"):
        Evolution("bank", old=stage1(url), new=stage3(f"sqlite:///{tmp_path}/other.db"))
    secret = "postgresql://somebody:secret@localhost/bank"
    with pytest.raises(ConfigurationError, match="keeps the write database") as error:
        Evolution("bank", old=stage3(secret), new=stage5(f"{secret}?schema=other"))
    assert "secret" not in str(error.value)
