"""What a move between stages promises, while commands are slow and servers restart."""

from __future__ import annotations

import asyncio

import pytest
from banking import Account, Balance, Balances, Deposit, GetBalance, get_balance
from sqlalchemy import Column, Integer, MetaData, String, Table

from diptych import App, View
from diptych.adapters.sqlalchemy import engine_for, mapped
from diptych.errors import StoreError
from diptych.evolution import Evolution


class BalancesByTable(View[Balance]):
    sql = "SELECT account_id, balance FROM accounts"


metadata = MetaData()
accounts = Table(
    "accounts",
    metadata,
    Column("account_id", String, primary_key=True),
    Column("balance", Integer, nullable=False),
    Column("version", Integer, nullable=False, server_default="0"),
)
TABLES = [mapped(Account, accounts)]


def stage1(url, **options):
    parts = [Account, BalancesByTable, get_balance]
    return App("bank", parts, write=url, tables=TABLES, keep_events=False, **options)


def stage3(url):
    return App("bank", [Account, Balances, get_balance], write=url, tables=TABLES)


async def prepared(url, schema):
    url = f"{url}&search_path={schema}"
    async with App("bank", [Account], write=url):
        pass  # makes the schema, where the tables go, too
    engine = engine_for(url)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await engine.dispose()
    return url


@pytest.fixture
async def url(postgres_url, postgres_schema):
    return await prepared(postgres_url, postgres_schema)


async def test_a_command_that_was_under_way_at_the_step_is_decided_by_the_side_whose_turn_it_is(
    url,
):
    under_way, go_on = asyncio.Event(), asyncio.Event()

    async def slow(envelope, call):
        under_way.set()
        await go_on.wait()
        return await call(envelope)

    async with Evolution("bank", old=stage1(url, middleware=[slow]), new=stage3(url)) as evolution:
        command = asyncio.create_task(evolution.dispatch(Deposit("a", 5)))
        await under_way.wait()
        await evolution.begin_shadow()
        go_on.set()
        await command
        token = await evolution.head_token()
        assert len(await evolution.new.log.read_stream("Account-a")) == 1, "a row without events"
        assert await evolution.old.ask(GetBalance("a"), after=token) == Balance("a", 5)
        assert await evolution.new.ask(GetBalance("a"), after=token, within_s=30) == Balance("a", 5)


async def test_a_process_that_only_answers_hears_of_a_cut_over_after_the_server_was_restarted(
    private_postgres,
):
    server = private_postgres()
    url = await prepared(f"{server.url}?schema=bank", "bank")
    async with (
        Evolution("bank", old=stage1(url), new=stage3(url)) as here,
        Evolution("bank", old=stage1(url), new=stage3(url)) as there,
    ):
        await here.begin_shadow()
        await here.dispatch(Deposit("a", 5))
        looked_in_vain = asyncio.Event()
        look = there._look

        async def noted():
            try:
                await look()
            except StoreError:
                looked_in_vain.set()
                raise

        there._look = noted
        await asyncio.to_thread(server.stop)
        await looked_in_vain.wait()
        await asyncio.to_thread(server.start)
        async with asyncio.timeout(20):
            while (await there.old.ask(GetBalance("a"))) != Balance("a", 5):
                pass
        await here._look()
        await here.cut_over([GetBalance("a")])
        async with asyncio.timeout(20):
            while there._answering is not there.new:  # noqa: ASYNC110  it asks nobody but the log
                await asyncio.sleep(0.01)
