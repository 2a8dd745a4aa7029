"""Locking the rows of a projection, so that their tables can be emptied, changed or dropped."""

from __future__ import annotations

import math
from collections.abc import Sequence

import asyncpg

from diptych.adapters.postgres.row_shape import relations
from diptych.adapters.postgres.statements import quoted, sql

__all__ = ["lock_rows"]

_TURN_S = 0.2
"""Shorter than the server's deadlock_timeout (1 s), and a pause that readers bear."""


async def lock_rows(
    connection: asyncpg.Connection,
    schema: str,
    projection: str,
    tables: Sequence[str],
    patience_s: float,
) -> None:
    """Lock a projection's checkpoint, and those of its tables that there are, in the present
    transaction.

    Changes that are being written are committed before. A change in one statement has locked its
    table before it waits for the checkpoint, and one in a transaction the other way round: whoever
    holds the one and insists on the other has a deadlock with some of them. So if the tables are
    not to be had soon, the checkpoint is let go, and those who wait for it come first.

    Raises driver errors: LockNotAvailableError when somebody holds on to a lock.
    """
    kinds = await relations(connection, schema, tables)
    names = [f"{quoted(schema)}.{quoted(name)}" for name in tables if kinds.get(name) in {"r", "p"}]
    for turns_left in reversed(range(max(1, math.ceil(patience_s / _TURN_S)))):
        if await _locked(connection, schema, projection, names, last=not turns_left):
            return


async def _locked(
    connection: asyncpg.Connection,
    schema: str,
    projection: str,
    names: Sequence[str],
    *,
    last: bool,
) -> bool:
    turn = connection.transaction()
    await turn.start()
    await connection.execute(sql("lock_checkpoint", schema), projection)
    await connection.execute(f"SET LOCAL lock_timeout = {int(_TURN_S * 1000)}")
    try:
        for name in names:
            await connection.execute(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")
    except asyncpg.LockNotAvailableError:
        await turn.rollback()
        if last:
            raise
        return False
    await connection.execute("SET LOCAL lock_timeout TO DEFAULT")
    await turn.commit()
    return True
