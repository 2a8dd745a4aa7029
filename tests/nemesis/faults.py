"""What a nemesis does to stores while processes work on them. Each fault ends by itself."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import apsw
import asyncpg

from services.postgres import PrivatePostgres

Fault = Callable[[random.Random], Awaitable[str]]


class SqliteFaults:
    """A file that others lock, read for long, and checkpoint."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> list[Fault]:
        return [self.lock, self.read_long, self.checkpoint]

    def _connection(self) -> apsw.Connection:
        connection = apsw.Connection(str(self._path))
        connection.set_busy_timeout(5_000)
        return connection

    async def lock(self, chance: random.Random) -> str:
        connection = self._connection()
        try:
            await asyncio.to_thread(connection.execute, "BEGIN IMMEDIATE")
            await asyncio.sleep(chance.random() * 2)
            connection.execute("COMMIT")
        except apsw.BusyError:
            return "could not lock the file"
        finally:
            connection.close()
        return "locked the file"

    async def read_long(self, chance: random.Random) -> str:
        connection = self._connection()
        try:
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM events").fetchall()
            await asyncio.sleep(chance.random() * 2)
        finally:
            connection.close()
        return "read for long"

    async def checkpoint(self, chance: random.Random) -> str:
        connection = self._connection()
        try:
            await asyncio.to_thread(connection.execute, "PRAGMA wal_checkpoint(TRUNCATE)")
        except apsw.BusyError:
            return "could not checkpoint"
        finally:
            connection.close()
        return "checkpointed from outside"


class PostgresFaults:
    """A server that dies, loses backends, is locked, and whose replica stands still."""

    def __init__(self, server: PrivatePostgres) -> None:
        self._server = server

    def all(self) -> list[Fault]:
        return [
            self.restart,
            self.terminate,
            self.terminate,
            self.lock_rows,
            self.lock_events,
            self.idle_append,
            self.pause_replica,
        ]

    async def restart(self, chance: random.Random) -> str:
        await asyncio.to_thread(self._server.restart_immediately)
        return "restarted the server"

    async def terminate(self, chance: random.Random) -> str:
        connection = await asyncpg.connect(self._server.url)
        try:
            pids = await connection.fetch(
                "SELECT pid FROM pg_stat_activity"
                " WHERE application_name LIKE 'diptych%' AND pid <> pg_backend_pid()"
            )
            chosen = chance.sample(pids, min(len(pids), chance.randint(1, 5)))
            for each in chosen:
                await connection.execute("SELECT pg_terminate_backend($1)", each["pid"])
        finally:
            await connection.close()
        return f"ended {len(chosen)} backends"

    async def lock_rows(self, chance: random.Random) -> str:
        return await self._hold("SELECT FROM checkpoints FOR UPDATE", chance)

    async def lock_events(self, chance: random.Random) -> str:
        return await self._hold("LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE", chance)

    async def idle_append(self, chance: random.Random) -> str:
        """A transaction that writes, is idle, and rolls back."""
        return await self._hold("SELECT pg_current_xact_id()::text", chance)

    async def pause_replica(self, chance: random.Random) -> str:
        connection = await asyncpg.connect(self._server.replica_url)
        try:
            await connection.execute("SELECT pg_wal_replay_pause()")
            await asyncio.sleep(chance.random() * 3)
            await connection.execute("SELECT pg_wal_replay_resume()")
        finally:
            await connection.close()
        return "paused the replica"

    async def _hold(self, statement: str, chance: random.Random) -> str:
        connection = await asyncpg.connect(
            self._server.url, server_settings={"search_path": "nemesis", "lock_timeout": "5s"}
        )
        try:
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute(statement)
            await asyncio.sleep(chance.random() * 2)
            await transaction.rollback()
        finally:
            await connection.close()
        return f"held {statement}"
