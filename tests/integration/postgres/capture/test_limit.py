"""A capture that is behind: the alarm, and the end of what a slot may keep."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import asyncpg
import pytest
from capture_workers import order_changes
from private_server import private

from diptych.adapters.memory.event_log import MemoryEventLog
from diptych.adapters.postgres.capture import Capture
from diptych.adapters.postgres.capture.status import Alarm
from diptych.errors import CaptureLost, ConfigurationError
from services.postgres.private import PrivatePostgres

TABLE = "CREATE TABLE IF NOT EXISTS orders (id int PRIMARY KEY, state text, note text)"


@pytest.fixture
def server() -> Iterator[PrivatePostgres]:
    with private(max_slot_wal_keep_size="64MB", min_wal_size="32MB", max_wal_size="32MB") as one:
        yield one


async def write(database: asyncpg.Connection, megabytes: int) -> None:
    for _ in range(megabytes):
        await database.execute(
            "SELECT pg_logical_emit_message(false, 'filling', repeat('x', 1024 * 1024))"
        )


async def test_a_slot_that_keeps_too_much_raises_the_alarm_and_then_is_lost(
    server: PrivatePostgres, caplog
):
    database = await asyncpg.connect(server.url)
    await database.execute(TABLE)
    log = MemoryEventLog()
    await log.open()
    capture = Capture(server.url, log, [order_changes])
    async with capture:
        await capture.caught_up()
    await write(database, 40)
    status = await capture.status()
    assert (status.state, status.kept.limit_bytes) == ("stopped", 64 << 20)
    assert 0.5 < status.kept.share < 0.8
    alarm = Alarm("diptych")
    alarm.look(status.kept)
    await write(database, 16)
    alarm.look((await capture.status()).kept)
    levels = [one.levelno for one in caplog.records if "write-ahead log" in one.getMessage()]
    assert levels == [logging.WARNING, logging.ERROR]
    await write(database, 40)
    await database.execute("CHECKPOINT")
    assert (await capture.status()).kept.wal_status == "lost"
    await database.execute("INSERT INTO orders (id) VALUES (1)")
    with pytest.raises(CaptureLost, match="max_slot_wal_keep_size") as lost:
        await capture.run()
    assert lost.value.slot == "diptych"
    assert (await capture.status()).state == "lost"
    await capture.resnapshot()
    async with capture:
        await capture.caught_up()
    assert await log.head() == 1
    await database.close()


async def test_without_a_limit_it_starts_only_when_told_so():
    with private(max_slot_wal_keep_size="-1") as server:
        database = await asyncpg.connect(server.url)
        await database.execute(TABLE)
        await database.close()
        log = MemoryEventLog()
        await log.open()
        with pytest.raises(ConfigurationError, match="max_slot_wal_keep_size"):
            await Capture(server.url, log, [order_changes]).run()
        async with Capture(server.url, log, [order_changes], allow_unlimited_wal=True) as capture:
            await capture.caught_up()
            assert (await capture.status()).kept.limit_bytes is None


async def test_without_logical_decoding_it_says_what_to_run():
    with private(wal_level="replica") as server:
        log = MemoryEventLog()
        await log.open()
        with pytest.raises(ConfigurationError, match="ALTER SYSTEM SET wal_level"):
            await Capture(server.url, log, [order_changes]).run()
