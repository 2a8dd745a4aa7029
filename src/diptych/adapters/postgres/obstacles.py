"""Which session of the server keeps others waiting: asked of the server itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diptych.adapters.postgres.connection import writing_name
from diptych.adapters.postgres.database import PostgresDatabase
from diptych.adapters.postgres.statements import sql
from diptych.events.obstacle import Obstacle

__all__ = ["what_holds_up_appends", "what_holds_up_writes"]

WORTH_SAYING_S = 1.0
"""Appends wait for each other all the time, for milliseconds. That is how it works, no obstacle."""


async def what_holds_up_appends(database: PostgresDatabase) -> Obstacle | None:
    """The session at the root of a queue of appends. Raises translated errors."""
    schema = database.location.schema
    rows = await database.select(sql("select_append_obstacle", schema))
    return _first(rows, f"the append lock of schema {schema}", nearest=0)


async def what_holds_up_writes(database: PostgresDatabase) -> Obstacle | None:
    """The session that a write to a read model waits for. Raises translated errors."""
    name = writing_name(database.location)
    rows = await database.select(sql("select_write_obstacle", database.location.schema), name)
    return _first(rows, "rows or tables that are to be written", nearest=1)


def _first(rows: Sequence[Any], what: str, nearest: int) -> Obstacle | None:
    """The one furthest down the chain, which waits for nobody; `nearest` holds `what` itself."""
    if not rows or rows[0]["depth"] < nearest or rows[0]["seconds"] < WORTH_SAYING_S:
        return None
    root = rows[0]
    if root["depth"] == nearest:
        return Obstacle(f"{_who(root)} holds {what}", root["seconds"])
    held = next(row for row in rows if row["depth"] == nearest)
    return Obstacle(
        f"{_who(root)} keeps session {held['pid']} waiting, which holds {what}", root["seconds"]
    )


def _who(row: Any) -> str:
    if not row["pid"]:
        return "a prepared transaction (see pg_prepared_xacts)"
    does = row["does"] or "what it does is hidden: GRANT pg_read_all_stats to this user"
    return f"session {row['pid']} ({row['program'] or 'no name'}, {does})"
