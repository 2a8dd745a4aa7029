"""The replica of the shared pair is one."""

from __future__ import annotations

import os

import asyncpg
import pytest

from services.pytest_plugin import PostgresAddresses

ours = pytest.mark.skipif(
    "DIPTYCH_POSTGRES" in os.environ, reason="a user's own server is set as its owner likes"
)


@pytest.fixture
async def primary(postgres: PostgresAddresses):
    connection = await asyncpg.connect(postgres.primary)
    yield connection
    await connection.close()


@pytest.fixture
async def replica(postgres: PostgresAddresses):
    if postgres.replica is None:
        pytest.skip("DIPTYCH_POSTGRES has no replica")
    connection = await asyncpg.connect(postgres.replica)
    yield connection
    await connection.close()


async def test_what_the_primary_commits_streams_to_the_replica(primary, replica, postgres_schema):
    await primary.execute(f"CREATE SCHEMA {postgres_schema}")
    await primary.execute(f"CREATE TABLE {postgres_schema}.seen AS SELECT 42 AS answer")
    written = await primary.fetchval("SELECT pg_current_wal_flush_lsn()::text")
    while not await replica.fetchval(
        "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", written
    ):
        pass  # the test's own timeout ends this
    assert await replica.fetchval(f"SELECT answer FROM {postgres_schema}.seen") == 42


async def test_the_replica_takes_no_writes(replica):
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await replica.execute("CREATE TABLE unwanted ()")


@ours
async def test_the_primary_is_durable_and_logical(primary):
    names = ["wal_level", "fsync", "synchronous_commit", "full_page_writes", "TimeZone"]
    settings = [await primary.fetchval(f"SHOW {name}") for name in names]
    assert settings == ["logical", "on", "on", "on", "UTC"]


@ours
async def test_only_loopback_and_only_with_the_password(primary, postgres):
    assert await primary.fetchval("SHOW listen_addresses") == "127.0.0.1"
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres.primary, password="guessed")
