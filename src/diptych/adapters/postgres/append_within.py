"""Appending in a transaction that somebody else has begun, and will commit."""

from __future__ import annotations

from typing import Any

import asyncpg

from diptych.adapters.postgres.append_batch import AppendBatch, repeated
from diptych.adapters.postgres.errors import DRIVER_ERRORS, translate
from diptych.adapters.postgres.jobs import AppendJob
from diptych.adapters.postgres.log_transaction import PostgresLogTransaction
from diptych.adapters.postgres.migrations import comment_of
from diptych.adapters.postgres.statements import quoted, sql
from diptych.adapters.postgres.url import Location
from diptych.errors import ConfigurationError
from diptych.events.log import Appended, CommandRecord

__all__ = ["append_within", "check_own_transaction"]

_CONNECTIONS = (asyncpg.Connection, asyncpg.pool.PoolConnectionProxy)


async def append_within(
    connection: Any, location: Location, identity: str, job: AppendJob, now_us: int
) -> Appended:
    """Append on the caller's connection, as the last statement before its commit.

    Raises what refuses the append, and ConfigurationError for any other connection.
    """
    try:
        await check_own_transaction(connection, location, identity)
        return await _append(connection, location, job, now_us)
    except DRIVER_ERRORS as error:
        raise translate(error, location.place) from error


async def check_own_transaction(connection: Any, location: Location, identity: str) -> None:
    """Raise ConfigurationError for what is no transaction in the database of this log."""
    if not isinstance(connection, _CONNECTIONS) or not connection.is_in_transaction():
        raise ConfigurationError(
            f"only a transaction of an asyncpg connection to {location.place} can be shared; this "
            f"is {connection!r}. Begin one: async with connection.transaction()."
        )
    statement = sql("select_log_comment", location.schema)
    comment, isolation = await connection.fetchrow(statement, f"{quoted(location.schema)}.log")
    if comment != comment_of(identity):
        raise ConfigurationError(
            f"this connection leads to another database than the log: {location!r}. Keep "
            "everything that commits together in one database."
        )
    if isolation != "read committed":
        raise ConfigurationError(
            f"a transaction that appends has to be READ COMMITTED; this one is {isolation}. What "
            "others append while it waits for its turn has to be seen."
        )


async def _append(connection: Any, location: Location, job: AppendJob, now_us: int) -> Appended:
    batch = AppendBatch([job], now_us)
    statement = sql("append_batch_within", location.schema)
    *answer, _ = await connection.fetchrow(statement, *batch.arguments)
    (outcome,), head = batch.settle(answer)
    if outcome is None:
        statement = sql("select_commands", location.schema)
        return repeated(CommandRecord._make(await connection.fetchrow(statement, [job.command_id])))
    if not isinstance(outcome, Appended):
        raise outcome
    if head:
        before = answer[0]
        transaction = PostgresLogTransaction(
            connection, location.schema, before, batch.events(before, answer)
        )
        for participant in job.participants:
            await participant.join(transaction, head)
    return outcome
