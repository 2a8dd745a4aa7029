"""Captures that are killed, servers that crash: nothing lost, nothing twice, in commit order."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random

import asyncpg
import msgspec
import pytest
from capture_workers import SMALL, order_changes

from diptych.adapters.postgres.capture import Capture
from diptych.adapters.postgres.capture.pgoutput import (
    Begin,
    Delete,
    Insert,
    Truncate,
    Update,
    decode,
)
from diptych.adapters.sqlite.event_log import SqliteEventLog
from services.postgres.private import PrivatePostgres

pytestmark = pytest.mark.timeout(180)

KILLS = 6

Start = Callable[..., subprocess.Popen[str]]

LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    OSError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


class Truth:
    """What was committed, in the order of commits, as a slot of its own says."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def begin(self) -> None:
        async with connected(self.url) as connection:
            await connection.execute("CREATE PUBLICATION truth FOR TABLE orders")
            await connection.execute(
                "SELECT pg_create_logical_replication_slot('truth', 'pgoutput')"
            )

    async def read(self) -> list[tuple[int, list[tuple[str, int]]]]:
        async with connected(self.url) as connection:
            rows = await connection.fetch(
                "SELECT data FROM pg_logical_slot_peek_binary_changes('truth', NULL, NULL,"
                " 'proto_version', '1', 'publication_names', 'truth')"
            )
        found: list[tuple[int, list[tuple[str, int]]]] = []
        for row in rows:
            message = decode(row["data"])
            if isinstance(message, Begin):
                found.append((message.transaction, []))
            elif isinstance(message, Insert):
                found[-1][1].append(("insert", int(message.new[0])))
            elif isinstance(message, Update):
                found[-1][1].append(("update", int(message.new[0])))
            elif isinstance(message, Delete):
                found[-1][1].append(("delete", int(message.old[0])))
            else:
                assert not isinstance(message, Truncate)
        return [one for one in found if one[1]]


async def captured(path: Path) -> list[tuple[int, list[tuple[str, int]]]]:
    """What the log holds, by transaction, in its order."""
    log = SqliteEventLog(path)
    await log.open()
    events = [msgspec.json.decode(e.data) for e in await log.read(0, 1_000_000)]
    await log.close()
    return [
        (transaction, [(one["operation"], one["id"]) for one in together])
        for transaction, together in itertools.groupby(events, lambda one: one["transaction"])
    ]


def alike(found, wanted) -> None:
    """The same transactions in the same order; within one, each stream in its order."""
    assert [t for t, _ in found] == [t for t, _ in wanted]
    for (_, left), (_, right) in zip(found, wanted, strict=True):
        assert sorted(left) == sorted(right)
        for stream in range(10):
            ours = [one for one in left if one[1] % 10 == stream]
            assert ours == [one for one in right if one[1] % 10 == stream]


class Writers:
    """Eight connections of other programs, interleaved, until `enough`; `acknowledged` counts."""

    def __init__(self, url: str, chance: Random) -> None:
        self.acknowledged: set[int] = set()
        self.enough = False
        self._url = url
        self._chance = chance

    async def write(self) -> None:
        await asyncio.gather(*(self._write(number) for number in range(8)))

    async def _write(self, number: int) -> None:
        done = 0
        while not self.enough:
            with contextlib.suppress(*LOST):
                connection = await asyncpg.connect(self._url)
                try:
                    while not self.enough:
                        done += 1
                        await self._transact(connection, number * 1_000_000 + done * 100)
                finally:
                    connection.terminate()
            await asyncio.sleep(0)

    async def _transact(self, connection: asyncpg.Connection, id: int) -> None:  # noqa: A002
        chance = self._chance
        transaction = connection.transaction()
        await transaction.start()
        xid = await connection.fetchval("SELECT pg_current_xact_id()::text::int")
        await connection.execute("INSERT INTO others VALUES ($1)", id)
        for more in range(chance.choice((1, 1, 2, 5, 50))):
            await connection.execute("INSERT INTO orders (id) VALUES ($1)", id + more)
            if chance.random() < 0.3:
                await connection.execute(
                    "UPDATE orders SET state = 'paid' WHERE id = $1", id + more
                )
            if chance.random() < 0.1:
                await connection.execute("DELETE FROM orders WHERE id = $1", id + more)
        if chance.random() < 0.2:
            await transaction.rollback()
            return
        await transaction.commit()
        self.acknowledged.add(xid)


async def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return await asyncio.to_thread(process.stdout.readline)


async def has_said(process: subprocess.Popen[str], word: str) -> bool:
    """Wait until a process says `word`; False if it ended first."""
    while line := await read_line(process):
        if line.strip() == word:
            return True
    return False


async def begin(url: str, path: Path) -> None:
    """Make the slot, so that every change from now on counts."""
    log = SqliteEventLog(path)
    await log.open()
    async with Capture(url, log, [order_changes], limits=SMALL) as first:
        await first.caught_up()
    await log.close()


async def finish(url: str, path: Path) -> None:
    log = SqliteEventLog(path)
    await log.open()
    async with Capture(url, log, [order_changes], limits=SMALL) as last:
        await last.caught_up()
    await log.close()


async def storm(
    url: str,
    path: Path,
    start: Start,
    chance: Random,
    *,
    naive: bool = False,
    restart: Callable[[], None] | None = None,
) -> tuple[Truth, Writers]:
    """Eight writers, and a capture that is killed again and again meanwhile."""
    truth, writers = Truth(url), Writers(url, chance)
    await begin(url, path)
    await truth.begin()
    writing = asyncio.create_task(writers.write())
    for kill in range(KILLS):
        # By itself within an append, or from outside after some of them.
        after, when = chance.randrange(1, 12), chance.choice(("before", "after"))
        dies = after if kill % 2 else 0
        process = start("capture", url, path, dies, when, "naive" if naive else "")
        if not dies:
            for _ in range(after):
                assert await has_said(process, "appended")
            process.kill()
        await asyncio.to_thread(process.wait)
        if restart and kill == KILLS // 2:
            await asyncio.to_thread(restart)
    writers.enough = True
    await writing
    return truth, writers


async def test_killed_at_any_moment_it_loses_and_doubles_nothing(
    url: str, tmp_path: Path, start: Start, chance: Random
):
    path = tmp_path / "log.db"
    truth, writers = await storm(url, path, start, chance)
    await finish(url, path)
    wanted = await truth.read()
    assert writers.acknowledged >= {transaction for transaction, _ in wanted}
    assert {t for t, _ in wanted} == writers.acknowledged
    alike(await captured(path), wanted)


async def test_one_that_advances_first_loses_in_the_same_storm(
    url: str, tmp_path: Path, start: Start, chance: Random
):
    path = tmp_path / "log.db"
    truth, _ = await storm(url, path, start, chance, naive=True)
    await finish(url, path)
    wanted, found = await truth.read(), await captured(path)
    assert {t for t, _ in found} < {t for t, _ in wanted}


async def test_a_server_that_crashes_meanwhile_changes_nothing_of_that(
    url: str, server: PrivatePostgres, tmp_path: Path, start: Start, chance: Random
):
    path = tmp_path / "log.db"
    truth, writers = await storm(url, path, start, chance, restart=server.restart_immediately)
    await finish(url, path)
    wanted = await truth.read()
    assert {t for t, _ in wanted} >= writers.acknowledged
    alike(await captured(path), wanted)


async def test_the_second_waits_and_takes_over_after_kill_9(
    url: str, tmp_path: Path, start: Start, database: asyncpg.Connection
):
    path = tmp_path / "log.db"
    first = start("capture", url, path)
    assert await has_said(first, "running")
    second = start("capture", url, path)
    assert await has_said(second, "waiting")
    await database.execute("INSERT INTO orders (id) VALUES (1)")
    assert await has_said(first, "appended")
    first.kill()
    await database.execute("INSERT INTO orders (id) VALUES (2)")
    log = SqliteEventLog(path)
    await log.open()
    await log.wait(1)
    await log.close()
    second.kill()
    assert [one for _, together in await captured(path) for one in together] == [
        ("insert", 1),
        ("insert", 2),
    ]
