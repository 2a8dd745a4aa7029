"""The table of events that the floors write and read.

It has the columns, types and indexes of the one that diptych uses, so a floor and diptych do the
same work on the same bytes. Here the position comes from a sequence, which is the cheapest way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg

from benchmarks.events import DATA, META, RECORDED_AT
from benchmarks.postgres.server import Schema

TABLE = """
CREATE TABLE IF NOT EXISTS events (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream text COLLATE "C" NOT NULL,
    version int NOT NULL,
    type text COLLATE "C" NOT NULL,
    schema int NOT NULL,
    data bytea NOT NULL,
    meta bytea NOT NULL,
    recorded_us bigint NOT NULL,
    UNIQUE (stream, version)
)
"""
COLUMNS = ("stream", "version", "type", "schema", "data", "meta", "recorded_us")
INSERT = f"INSERT INTO events ({', '.join(COLUMNS)}) VALUES ($1, $2, $3, $4, $5, $6, $7)"
READ_ALL = (
    "SELECT position, stream, version, type, data FROM events"
    " WHERE position > $1 ORDER BY position LIMIT $2"
)
READ_STREAM = "SELECT version, type, data FROM events WHERE stream = $1 ORDER BY version"

Row: TypeAlias = tuple[str, int, str, int, bytes, bytes, int]
Statement: TypeAlias = Any
"""A statement of asyncpg, prepared on one connection."""


def item_added(stream: str, version: int) -> Row:
    """Make the row of one event, encoded beforehand: a floor spends nothing on Python."""
    return (stream, version, "ItemAdded", 1, DATA, META, RECORDED_AT)


async def connect(schema: Schema) -> asyncpg.Connection:
    """Connect to a schema."""
    url = schema.url.partition("?")[0]
    return await asyncpg.connect(url, server_settings={"search_path": schema.name})


class Prepared:
    """Statements prepared on every connection of a pool, handed out without a round trip.

    The driver's own pool resets a connection after each use, which costs a direct INSERT a second
    round trip: a floor must not pay that.
    """

    def __init__(self, connections: list[asyncpg.Connection]) -> None:
        self._connections = connections
        self._free: asyncio.Queue[tuple[Statement, ...]] = asyncio.Queue()

    async def prepare(self, *statements: str) -> None:
        """Prepare these on every connection."""
        for connection in self._connections:
            self._free.put_nowait(
                tuple([await connection.prepare(statement) for statement in statements])
            )

    async def take(self) -> tuple[Statement, ...]:
        """Get the statements of one connection, and nobody else has them."""
        return await self._free.get()

    def give_back(self, statements: tuple[Statement, ...]) -> None:
        """Let the next one have them."""
        self._free.put_nowait(statements)


@asynccontextmanager
async def prepared(schema: Schema, size: int, *statements: str) -> AsyncIterator[Prepared]:
    """Open `size` connections to a schema with an events table, statements prepared on each."""
    connections = [await connect(schema) for _ in range(size)]
    try:
        await connections[0].execute(TABLE)
        pool = Prepared(connections)
        await pool.prepare(*statements)
        yield pool
    finally:
        for connection in connections:
            await connection.close()
