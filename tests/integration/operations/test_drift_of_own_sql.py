"""A projection with own SQL: its tables are compared whole, also while they move."""

from __future__ import annotations

import asyncio

import pytest
from banking import BANK, Deposit, Deposited

from diptych import App, Sql, SqlProjection
from diptych.errors import ConfigurationError

pytestmark = pytest.mark.anyio


class Totals(SqlProjection):
    schema = ("CREATE TABLE totals(account TEXT PRIMARY KEY, total INTEGER)",)
    tables = ("totals",)

    def deposited(self, sql: Sql, event: Deposited) -> None:
        sql(
            "INSERT INTO totals VALUES (?, ?) "
            "ON CONFLICT (account) DO UPDATE SET total = totals.total + excluded.total",
            event.account_id,
            event.amount,
        )


@pytest.fixture
async def app(url):
    async with App("bank", [*BANK, Totals], write=url) as app:
        for number in range(10):
            await app.dispatch(Deposit(f"k{number}", 1))
        await app.settle()
        yield app


@pytest.fixture
async def execute(url, by_hand):
    hands = await by_hand()

    async def run(statement: str) -> None:
        done = hands._connection.execute(statement)
        if not url.startswith("sqlite"):
            await done

    return run


async def test_f35_rows_of_own_tables_that_are_wrong_are_named(app, execute, drift_of):
    drift = drift_of(app, Totals)
    assert (await drift.verify()).rows == 10
    await execute("UPDATE totals SET total = 7 WHERE account = 'k3'")
    await execute("DELETE FROM totals WHERE account = 'k4'")
    found = await drift.verify()
    assert sorted((one.key, one.kept, one.expected) for one in found.differences if one.kept) == [
        ("totals", {"account": "k3", "total": 7}, None)
    ]
    assert sorted(one.expected["account"] for one in found.differences if one.expected) == [
        "k3",
        "k4",
    ]


async def test_own_tables_are_compared_under_load_and_never_found_wrong(app, drift_of):
    drift, stop = drift_of(app, Totals), False

    async def client(number: int) -> int:
        turn = 0
        while not stop:
            await app.dispatch(Deposit(f"k{(turn + number) % 20}", 1))
            turn += 1
        return turn

    clients = [asyncio.create_task(client(number)) for number in range(4)]
    try:
        for _ in range(5):
            found = await drift.verify()
            assert found.differences == ()
            assert found.compared[0].position >= 10
    finally:
        stop = True
        await asyncio.gather(*clients)
    await app.settle(30)
    assert (await drift.verify()).ok


async def test_single_rows_of_own_tables_can_be_neither_compared_nor_repaired(app, drift_of):
    drift = drift_of(app, Totals)
    with pytest.raises(ConfigurationError, match=r"writes its own SQL.*Verify it as a whole"):
        await drift.verify(keys=("k1",))
    with pytest.raises(ConfigurationError, match="diptych projections rebuild totals"):
        await drift.repair("totals", ["k1"])
    assert (await drift.verify(sample=3)).rows == 10  # as a whole
    found = await app.verify(keys=("k1",))
    assert ([one.projection for one in found.compared], found.left_out) == (
        ["balances"],
        ("totals",),
    )


class Groups(SqlProjection):
    schema = ("CREATE TABLE groups(amounts INTEGER[])",)
    tables = ("groups",)

    def deposited(self, sql: Sql, event: Deposited) -> None:
        sql("INSERT INTO groups VALUES (ARRAY[?::integer, 0])", event.amount)


async def test_arrays_are_compared_too(postgres_url, drift_of):
    async with App("bank", [*BANK, Groups], write=postgres_url) as app:
        await app.dispatch(Deposit("a", 1))
        await app.dispatch(Deposit("a", 1))
        await app.settle()
        found = await drift_of(app, Groups).verify()
        assert (found.ok, found.rows) == (True, 2)
