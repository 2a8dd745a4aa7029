"""Making objects one process after the other, however many open the same schema at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from diptych.adapters.postgres.statements import quoted

__all__ = ["schema_turn"]

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('diptych ' || $1, 0))"
_EXISTS = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)"


@asynccontextmanager
async def schema_turn(connection: asyncpg.Connection, schema: str) -> AsyncIterator[None]:
    """A transaction in which nobody else makes objects in `schema`, which exists then.

    Everything made in it is there together, or nothing is. A role that may not make schemas can
    use one that exists. Raises driver errors.
    """
    begun = False
    try:
        async with connection.transaction():
            begun = True
            await connection.execute(_LOCK, schema)
            if not await connection.fetchval(_EXISTS, schema):
                await connection.execute(f"CREATE SCHEMA {quoted(schema)}")
            yield
    except BaseException:
        if not begun:  # cancelled there, the driver believes in a transaction for ever
            connection.terminate()
        raise
