"""Whoever is cancelled, at whatever point, leaves no connection in a transaction."""

from __future__ import annotations

import asyncio

import pytest

from diptych.adapters.postgres.database import PostgresDatabase
from diptych.adapters.postgres.event_log import PostgresEventLog
from diptych.adapters.postgres.url import locate
from diptych.testing.contract.event_log.words import add, assert_dense, everything, fact
from diptych.testing.contract.suite import refusal

TURNS = 40


class Slow:
    """A participant that takes a few turns of the loop within the transaction."""

    async def join(self, transaction, head):
        for _ in range(3):
            await transaction.handle.fetchval("SELECT 1")


async def nothing_open(other, schema):
    """Wait until none of our connections is in a transaction."""
    statement = (
        "SELECT state, query FROM pg_stat_activity WHERE application_name LIKE $1 "
        "AND (state LIKE 'idle in transaction%' OR (state = 'active' AND xact_start IS NOT NULL))"
    )
    async with asyncio.timeout(20):
        while await other.fetch(statement, f"diptych {schema}%"):
            pass


async def cancelled_after(turns, work):
    task = asyncio.ensure_future(work)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    return task


@pytest.mark.parametrize("joined", [False, True])
async def test_appends(postgres_url, postgres_schema, other, joined):
    log = PostgresEventLog(postgres_url)
    await log.open()
    if joined:
        log.join(Slow())
    for turns in range(TURNS):
        await cancelled_after(turns, log.append(add(f"a-{turns}", fact(1), fact(2))))
        await log.append(add("after"))
        assert len(await log.read_stream(f"a-{turns}")) in {0, 2}
    assert_dense(await everything(log))
    await nothing_open(other, postgres_schema)
    await log.close()


async def test_reads_and_waits(log, postgres_schema, other):
    await log.append(add("a", *(fact(n) for n in range(50))))
    for turns in range(TURNS):
        await cancelled_after(turns, log.read(0, 100))
        await cancelled_after(turns, log.read_stream("a"))
        await cancelled_after(turns, log.wait(10_000))
        assert len(await log.read(0, 100)) == 50
    await nothing_open(other, postgres_schema)
    connections = log._database._keyed
    if connections._mending:  # what was cancelled is rolled back in the background
        await asyncio.wait(connections._mending, timeout=20)
    assert len(connections._in_use) == 0, "a connection was never given back"


async def test_transactions_of_the_read_store(postgres_url, postgres_schema, other, log):
    database = await PostgresDatabase.share(locate(postgres_url))
    await other.execute(f'CREATE TABLE "{postgres_schema}".things (n int)')

    async def write(turns):
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO things VALUES ($1)", turns)
            await connection.execute("INSERT INTO things VALUES ($1)", turns)

    happened = 0
    for turns in range(TURNS):
        task = await cancelled_after(turns, write(turns))
        happened += not task.cancelled()
        async with database.transaction() as connection:
            count = await connection.fetchval("SELECT count(*) FROM things WHERE n = $1", turns)
            assert count in {0, 2}, "half of a transaction was kept"
            assert task.cancelled() or count == 2
    await nothing_open(other, postgres_schema)
    await database.release()
    assert happened < TURNS


async def test_a_transaction_that_fails_is_rolled_back(postgres_url, postgres_schema, other, log):
    database = await PostgresDatabase.share(locate(postgres_url))
    await other.execute(f'CREATE TABLE "{postgres_schema}".things (n int)')

    async def fail():
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO things VALUES (1)")
            raise ZeroDivisionError

    await refusal(ZeroDivisionError, fail(), "it fails within")
    async with database.transaction() as connection:
        assert await connection.fetchval("SELECT count(*) FROM things") == 0
    await nothing_open(other, postgres_schema)
    await database.release()
