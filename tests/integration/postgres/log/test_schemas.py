"""What stands in the database: schemas side by side, views for people, versions of the tables."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from diptych.adapters.postgres.event_log import PostgresEventLog
from diptych.adapters.postgres.migrations import (
    Step,
    finish_migrations,
    make_log_tables,
    shipped_steps,
)
from diptych.errors import ConfigurationError, SchemaTooNew, StoreError, StoreUnavailable
from diptych.events.log import EventToStore
from diptych.testing.contract.event_log.words import add, assert_dense, everything, fact
from diptych.testing.contract.suite import outcomes, refusal, winners

# A second version as it could be: the new code wants to know of each event how large it is.
SECOND = Step(
    2,
    before='ALTER TABLE :"schema".events ADD COLUMN size int',
    after='ALTER TABLE :"schema".events ADD CHECK (position < 3 OR size > 0) NOT VALID',
)


async def test_two_applications_in_one_database_do_not_meet(log, other, postgres, postgres_schema):
    second = PostgresEventLog(f"{postgres.primary}?schema={postgres_schema}_2")
    await second.open()
    try:
        assert second.identity != log.identity
        waiting = asyncio.create_task(second.wait(0))
        # One holds its lock as long as it likes; the other one goes on.
        async with other.transaction():
            await log.append_within(other, add("a"))
            assert (await asyncio.wait_for(second.append(add("a")), 20)).first == 1
        assert await asyncio.wait_for(waiting, 20) == 1
        assert [await log.head(), await second.head()] == [1, 1]
        second._identity = "somebody else"
        async with other.transaction():
            await refusal(
                ConfigurationError, second.append_within(other, add("a")), "it is another log"
            )
    finally:
        await second.close()
        await other.execute(f'DROP SCHEMA "{postgres_schema}_2" CASCADE')


async def test_people_can_read_the_events(log, other, postgres_schema):
    await log.append(add("a", fact("größe"), recorded_us=1_600_000_000_000_001))
    row = await other.fetchrow(
        "SELECT data ->> 'number' AS number, meta ->> 'from' AS who, recorded_at "
        f'FROM "{postgres_schema}".events_readable'
    )
    assert row["number"] == "größe"
    assert row["who"] == "the suite"
    assert row["recorded_at"].isoformat() == "2020-09-13T12:26:40.000001+00:00"


async def test_it_says_what_a_commit_waits_for(log, other, postgres, postgres_url, postgres_schema):
    said = log.describe()
    assert said["adapter"].startswith("PostgreSQL 1")
    assert said["schema"] == postgres_schema
    assert "wait for the disk" in said["commits"]
    lax = PostgresEventLog(f"{postgres_url}_lax&synchronous_commit=off")
    await lax.open()
    try:
        assert "before they are on disk" in lax.describe()["commits"]
    finally:
        await lax.close()
        await other.execute(f'DROP SCHEMA "{postgres_schema}_lax" CASCADE')
    password = postgres.primary.split(":")[2].partition("@")[0]
    assert password not in str(said)


async def test_a_bad_member_fails_alone(log):
    # A NUL is no text to PostgreSQL; it fails the whole statement.
    bad = EventToStore("Counted\0", 1, b"{}", b"{}")
    appends = [add(f"s-{n}", bad if n % 7 == 3 else fact(n)) for n in range(30)]
    results = await outcomes(map(log.append, appends))
    assert [n for n, one in enumerate(results) if isinstance(one, StoreError)] == [3, 10, 17, 24]
    assert len(winners([one for n, one in enumerate(results) if n % 7 != 3])) == 26
    assert_dense(await everything(log))
    await refusal(StoreError, log.append(add("alone", bad)), "a NUL is no text")
    assert await log.head() == 26


async def test_a_transaction_that_may_miss_what_others_append_is_refused(log, other):
    async with other.transaction(isolation="repeatable_read"):
        await refusal(
            ConfigurationError, log.append_within(other, add("a")), "that is not READ COMMITTED"
        )
    await refusal(
        ConfigurationError, log.append_within(other, add("a")), "no transaction was begun"
    )
    assert await log.head() == 0


async def test_somebody_elses_tables_are_left_alone(other, postgres, postgres_schema):
    await other.execute(f'CREATE SCHEMA "{postgres_schema}"')
    await other.execute(f'CREATE TABLE "{postgres_schema}".events (id int)')
    log = PostgresEventLog(f"{postgres.primary}?schema={postgres_schema}")
    await refusal(ConfigurationError, log.open(), "the table events is somebody else's")


async def test_a_database_that_is_not_there_is_said(postgres):
    gone = postgres.primary.rpartition("/")[0] + "/nowhere"
    with pytest.raises(StoreUnavailable, match="there is no such database"):
        await PostgresEventLog(gone).open()
    with pytest.raises(StoreUnavailable, match="Check user and password"):
        await PostgresEventLog(gone.replace("//", "//x", 1)).open()
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        await PostgresEventLog("postgresql://127.0.0.1:1/x").open()


# --- versions of the tables ---


async def brought_to(other, schema, *steps):
    return await make_log_tables(other, schema, "unused", 1, steps)


async def test_old_code_goes_on_after_the_first_half_of_a_migration(log, other, postgres_schema):
    await log.append(add("a", fact(1)))
    assert await brought_to(other, postgres_schema, SECOND) == log.identity
    assert await brought_to(other, postgres_schema, SECOND) == log.identity, "again does nothing"
    await log.append(add("a", fact(2), expected=1))
    assert len(await log.read_stream("a")) == 2
    # An old process that starts now can use it too.
    assert await brought_to(other, postgres_schema) == log.identity


async def test_old_code_is_refused_after_the_second_half(log, other, postgres_url, postgres_schema):
    await brought_to(other, postgres_schema, SECOND)
    assert await finish_migrations(other, postgres_schema, [SECOND]) == 2
    assert await finish_migrations(other, postgres_schema, [SECOND]) == 2
    assert await brought_to(other, postgres_schema, SECOND) == log.identity
    old = PostgresEventLog(postgres_url)
    error = await refusal(SchemaTooNew, old.open(), "version 2 is whole")
    assert (error.found, error.known) == (2, 1)


async def test_a_migration_that_fails_leaves_nothing(log, other, postgres_schema):
    broken = Step(3, before='CREATE TABLE :"schema".half (n int); SELECT nonsense')
    with pytest.raises(asyncpg.PostgresError):
        await brought_to(other, postgres_schema, SECOND, broken)
    exists = "SELECT to_regclass($1) IS NOT NULL"
    assert not await other.fetchval(exists, f'"{postgres_schema}".half')
    assert await other.fetchval(f'SELECT schema_version FROM "{postgres_schema}".log') == 1
    await log.append(add("a"))


async def test_many_may_migrate_at_once(log, postgres, postgres_schema):
    connections = [await asyncpg.connect(postgres.primary) for _ in range(6)]
    names = await asyncio.gather(
        *(brought_to(connection, postgres_schema, SECOND) for connection in connections)
    )
    assert set(names) == {log.identity}
    for connection in connections:
        await connection.close()


def test_steps_are_numbered_from_two_without_gaps():
    assert [step.version for step in shipped_steps()] == list(range(2, 2 + len(shipped_steps())))
