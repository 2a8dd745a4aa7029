"""The record of a slot, in a table beside the log's own: what a restart must know."""

from __future__ import annotations

from typing import Literal

import asyncpg
import msgspec

from diptych.adapters.postgres.capture.seen import Seen
from diptych.adapters.postgres.capture.statements import sql
from diptych.adapters.postgres.statements import quoted

__all__ = ["Record", "Records"]


class Record(msgspec.Struct, frozen=True):
    """How far the beginning of a capture has come, and which log it feeds.

    A record without a slot tells a slot that was lost from a capture that never ran.
    """

    generation: str
    log: str
    state: Literal["starting", "snapshot", "running"]
    with_rows: bool
    seen: Seen | None


class Records:
    """The records in one schema."""

    def __init__(self, connection: asyncpg.Connection, schema: str, slot: str) -> None:
        self._connection = connection
        self._schema = schema
        self._slot = slot

    async def make_table(self) -> None:
        """Make the schema and the table where there are none."""
        there = f"{quoted(self._schema)}.captures"
        if await self._connection.fetchval("SELECT to_regclass($1)", there) is None:
            await self._connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(self._schema)}")
            await self._connection.execute(sql("create_captures", self._schema))

    async def read(self) -> Record | None:
        """The record of the slot, if it was ever begun."""
        row = await self._connection.fetchrow(sql("select_capture", self._schema), self._slot)
        if row is None:
            return None
        seen = Seen(row["seen"], row["seen_upto"]) if row["seen"] else None
        return Record(row["generation"], row["log"], row["state"], row["with_rows"], seen)

    async def begin(self, generation: str, log: str, *, with_rows: bool) -> None:
        """Begin anew."""
        statement = sql("upsert_capture", self._schema)
        await self._connection.execute(statement, self._slot, generation, log, with_rows)

    async def reached(self, state: str) -> None:
        """Note how far the beginning has come."""
        await self._connection.execute(sql("update_capture_state", self._schema), self._slot, state)

    async def saw(self, seen: Seen) -> None:
        """Note what the rows show, the first time."""
        statement = sql("update_capture_seen", self._schema)
        await self._connection.execute(statement, self._slot, seen.text, seen.upto)

    async def forget(self) -> None:
        """Remove the record."""
        await self._connection.execute(sql("delete_capture", self._schema), self._slot)
