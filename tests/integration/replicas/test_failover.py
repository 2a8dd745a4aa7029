"""A replica takes over: nobody decides on, or is answered with, what is not in the log."""

from __future__ import annotations

import asyncio
import secrets
from urllib.parse import urlsplit

import asyncpg
import pytest
from banking import Account, Balance, Balances, Deposit, GetBalance, get_balance

from diptych import App
from diptych.errors import StoreUnavailable

PARTS = [Account, Balances, get_balance]


@pytest.fixture
def pair(private_postgres):
    server = private_postgres()
    server.make_replica()
    return server


async def until_replica_has(pair, position):
    async with App("bank", PARTS, write=pair.url, replicas=[pair.replica_url]) as app:
        async with asyncio.timeout(20):
            while (await app.replicas())[0].position < position:  # noqa: ASYNC110  replication
                await asyncio.sleep(0.01)


async def cut_off(replica_url):
    """From now on the replica hears nothing of its primary."""
    connection = await asyncpg.connect(replica_url)
    await connection.execute("ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port=1'")
    await connection.execute("SELECT pg_reload_conf()")
    async with asyncio.timeout(20):
        receivers = "SELECT count(*) FROM pg_stat_wal_receiver"
        while await connection.fetchval(receivers):  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.01)
    await connection.close()


async def test_what_a_fail_over_has_lost_is_not_decided_on(pair):
    first, second = urlsplit(pair.url), urlsplit(pair.replica_url)
    both = f"{first.netloc},{second.netloc.rpartition('@')[2]}"
    url = f"postgresql://{both}{first.path}?target_session_attrs=primary"
    async with App("bank", PARTS, write=url) as app:
        done = await app.dispatch(Deposit("a", 1))
        await until_replica_has(pair, done.token.position)
        await cut_off(pair.replica_url)
        await app.dispatch(Deposit("a", 5000))  # reaches the primary alone
        await asyncio.to_thread(pair.kill9)
        await asyncio.to_thread(pair.promote)
        async with App("bank", PARTS, write=pair.replica_url) as other:
            await other.dispatch(Deposit("a", 7))
        async with asyncio.timeout(20):
            while True:
                try:
                    await app.dispatch(Deposit("b", 1))  # it has found the new primary
                    break
                except StoreUnavailable:
                    await asyncio.sleep(0.01)
        assert (await app.load(Account, "a")).balance == 8
        seen = []
        app.left._tools.cache.put = lambda stream, held: seen.append(held.state)
        await app.dispatch(Deposit("a", 1))
        assert [state.balance for state in seen] == [9], "decided on an event that is gone"


async def test_a_replica_that_was_promoted_answers_no_queries(pair):
    url = f"{pair.url}?schema=s{secrets.token_hex(3)}"
    replica_url = pair.replica_url + "?" + url.partition("?")[2]
    async with App("bank", PARTS, write=url, replicas=[replica_url]) as app:
        done = await app.dispatch(Deposit("a", 1))
        assert await app.ask(GetBalance("a"), after=done, within_s=20) == Balance("a", 1)
        await asyncio.to_thread(pair.promote)
        async with App("bank", PARTS, write=replica_url) as other:  # both are written to
            for _ in range(5):
                await other.dispatch(Deposit("b", 1))
            await other.settle(20)
        done = await app.dispatch(Deposit("a", 1))
        await app.settle(20)
        await app.replicas()
        answer = await app.ask(GetBalance("a"), after=done, within_s=20, on_stale="primary")
        assert answer == Balance("a", 2), "older than the token"
