"""Whoever holds the append lock is named, with what he does and for how long: fault F05."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from banking import BANK, Deposit

from diptych import App
from diptych.adapters.postgres import obstacles
from diptych.adapters.postgres.database import PostgresDatabase
from diptych.adapters.postgres.event_log import PostgresEventLog
from diptych.adapters.postgres.obstacles import what_holds_up_appends, what_holds_up_writes
from diptych.adapters.postgres.url import locate
from diptych.telemetry.health import health
from diptych.telemetry.instrument import LOOK_EVERY_S, instrument
from diptych.testing.contract.event_log.words import add, fact


async def until(look: Callable[[], Awaitable[Any]]) -> Any:
    """What `look` gives once it gives something."""
    async with asyncio.timeout(30):
        while True:
            if found := await look():
                return found
            await asyncio.sleep(0.05)


async def appending(log: PostgresEventLog, other: asyncpg.Connection) -> asyncpg.transaction:
    """A transaction of somebody else that has appended, and does not end."""
    transaction = other.transaction()
    await transaction.start()
    await log.append_within(other, add("theirs", fact(1)))
    return transaction


@pytest.mark.parametrize("end", ["commit", "rollback", "kill"])
async def test_f05_an_idle_transaction_holds_up_commands_until_it_ends(
    postgres, postgres_url, other, end
):
    async with App("bank", BANK, write=postgres_url) as app:
        telemetry = instrument(app)
        await app.dispatch(Deposit("a", 5))
        transaction = await appending(app.log, other)
        pid = other.get_server_pid()
        waiting = asyncio.ensure_future(app.dispatch(Deposit("a", 6)))

        obstacle = await until(app.log.held_up_by)
        assert obstacle.cause == (
            f"session {pid} (somebody, idle in transaction) holds the append lock of schema "
            f"{locate(postgres_url).schema}"
        )

        async def gauge() -> float | None:
            await telemetry.metrics_text()
            return telemetry.registry.get_sample_value(
                "diptych_horizon_blocked_seconds", {"cause": obstacle.cause}
            )

        first = await until(gauge)

        async def grown() -> bool:
            return (await gauge() or 0) >= first + LOOK_EVERY_S

        await until(grown)
        found = await health(app)
        assert (found.alive, found.ready) == (True, True)
        assert found.held_up.startswith(f"{obstacle.cause}, for ")
        assert not waiting.done()

        if end == "kill":
            killer = await asyncpg.connect(postgres.primary)
            await killer.execute("SELECT pg_terminate_backend($1)", pid)
            await killer.close()
        else:
            await getattr(transaction, end)()
        done = await asyncio.wait_for(waiting, 30)
        assert done.token.position == (3 if end == "commit" else 2)
        assert await app.log.held_up_by() is None

        async def gone() -> bool:
            return await gauge() is None

        await until(gone)


async def test_f05_one_that_waits_itself_leads_to_the_one_it_waits_for(
    postgres, postgres_url, other
):
    log = PostgresEventLog(postgres_url)
    await log.open()
    schema = locate(postgres_url).schema
    async with other.transaction():
        await other.execute(f'LOCK TABLE "{schema}".events IN SHARE MODE')
        waiting = asyncio.ensure_future(log.append(add("a", fact(1))))
        obstacle = await until(log.held_up_by)
        assert obstacle.cause.startswith(f"session {other.get_server_pid()} (somebody, ")
        assert "waiting, which holds the append lock" in obstacle.cause
        assert obstacle.seconds >= 1
    assert (await asyncio.wait_for(waiting, 30)).first == 1
    await log.close()


async def test_f05_appends_that_wait_for_each_other_are_no_obstacle(postgres_url):
    logs = [PostgresEventLog(postgres_url) for _ in range(2)]
    for log in logs:
        await log.open()

    async def append(log: PostgresEventLog, name: str) -> None:
        for number in range(50):
            await log.append(add(f"{name}-{number}", fact(number)))

    work = asyncio.gather(*(append(log, str(n)) for n, log in enumerate(logs)))
    while not work.done():
        assert await logs[0].held_up_by() is None
    await work
    for log in logs:
        await log.close()


async def test_f05_the_lock_of_another_schema_is_not_ours(postgres_url, postgres, other):
    schema = locate(postgres_url).schema
    log = PostgresEventLog(postgres_url)
    neighbour = PostgresEventLog(postgres_url.replace(schema, f"{schema}_b"))
    try:
        await log.open()
        await neighbour.open()
        transaction = await appending(neighbour, other)
        await until(neighbour.held_up_by)
        assert await log.held_up_by() is None
        assert (await log.append(add("a", fact(1)))).first == 1
        await transaction.rollback()
    finally:
        await log.close()
        await neighbour.close()
        await other.execute(f'DROP SCHEMA IF EXISTS "{schema}_b" CASCADE')


async def test_f05_a_writing_transaction_in_another_database_holds_up_nobody(
    postgres, postgres_url, postgres_schema, other, monkeypatch
):
    monkeypatch.setattr(obstacles, "WORTH_SAYING_S", 0)
    log = PostgresEventLog(postgres_url)
    await log.open()
    log_id = await other.fetchval("SELECT $1::regclass::oid::bigint", f"{postgres_schema}.log")
    elsewhere = await asyncpg.connect(postgres.primary, database="postgres")
    async with elsewhere.transaction():
        await elsewhere.execute("SELECT pg_current_xact_id()")
        await elsewhere.execute(f"SELECT pg_advisory_xact_lock({-log_id - 2})")
        assert await log.held_up_by() is None
        assert (await asyncio.wait_for(log.append(add("a", fact(1))), 30)).first == 1
        assert [one.position for one in await log.read(0, 10)] == [1]
    async with other.transaction():
        await other.execute(f"SELECT pg_advisory_xact_lock({-log_id - 2})")
        assert await log.held_up_by() is not None, "the same lock in our database is the one"
    await elsewhere.close()
    await log.close()


async def test_who_may_not_see_what_a_session_does_is_told_so(
    postgres, postgres_url, postgres_schema, other
):
    log = PostgresEventLog(postgres_url)
    await log.open()
    role = f"{postgres_schema}_app"
    await other.execute(f"CREATE ROLE \"{role}\" LOGIN PASSWORD 'secret'")
    try:
        location = locate(_as(postgres_url, role))
        database = await PostgresDatabase.share(location)
        transaction = await appending(log, other)
        waiting = asyncio.ensure_future(log.append(add("a", fact(1))))
        obstacle = await until(lambda: what_holds_up_appends(database))
        assert f"session {other.get_server_pid()} (somebody, " in obstacle.cause
        assert "GRANT pg_read_all_stats" in obstacle.cause
        assert obstacle.seconds >= 1
        await transaction.rollback()
        await waiting
        await database.release()
    finally:
        await log.close()
        await other.execute(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')


def _as(url: str, role: str) -> str:
    scheme, rest = url.split("://", 1)
    return f"{scheme}://{role}:secret@{rest.rpartition('@')[2] or rest}"


async def test_writes_to_read_models_lead_to_who_holds_the_rows(
    postgres_url, postgres_schema, other
):
    database = await PostgresDatabase.share(locate(postgres_url))
    await other.execute(f'CREATE SCHEMA "{postgres_schema}"')
    await other.execute(f'CREATE TABLE "{postgres_schema}".things (n int)')
    await other.execute(f'INSERT INTO "{postgres_schema}".things VALUES (1)')
    assert await what_holds_up_writes(database) is None

    async def write() -> None:
        async with database.transaction() as connection:
            await connection.execute("UPDATE things SET n = n + 1")

    async with other.transaction():
        await other.execute(f'UPDATE "{postgres_schema}".things SET n = 0')
        waiting = asyncio.ensure_future(write())
        obstacle = await until(lambda: what_holds_up_writes(database))
        assert obstacle.cause == (
            f"session {other.get_server_pid()} (somebody, idle in transaction) holds rows or "
            "tables that are to be written"
        )
    await asyncio.wait_for(waiting, 30)
    assert await what_holds_up_writes(database) is None
    await database.release()
