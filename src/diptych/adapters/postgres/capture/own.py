"""Marking a transaction that has its events already, so that its changes are not captured."""

from __future__ import annotations

from typing import Any

from diptych.adapters.postgres.capture.statements import sql

__all__ = ["MARK", "mark_own_transaction"]

MARK = "diptych"
"""Prefix of the message that marks; it stands in the statements, too."""


async def mark_own_transaction(connection: Any) -> None:
    """Leave the running transaction of an asyncpg connection out of every capture.

    For code that changes tables that are captured and appends the events itself, in one
    transaction (`append_within`). Call it anywhere in that transaction; it rolls back with it. With
    another driver run `SELECT pg_logical_emit_message(true, 'diptych', '')`.

    Outside a transaction it marks only itself, which is nothing.
    """
    await connection.execute(sql("mark_own_transaction"))
