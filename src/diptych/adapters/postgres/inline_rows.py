"""Rows that commit together with events: the read store within the log's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import asyncpg

from diptych.adapters.postgres.changes import write_changes
from diptych.adapters.postgres.parked_entries import decoded
from diptych.adapters.postgres.projections import Projections, gone
from diptych.adapters.postgres.read_standings import never_opened, standing
from diptych.adapters.postgres.row_shape import OTHER_COLUMNS
from diptych.adapters.postgres.statements import sql
from diptych.errors import ConfigurationError
from diptych.queries.parked import Parked
from diptych.queries.read_store import Change, CheckpointInfo, Loaded

__all__ = ["PostgresInlineRows", "check_own_transaction"]

_CONNECTIONS = (asyncpg.Connection, asyncpg.pool.PoolConnectionProxy)


def check_own_transaction(handle: Any, place: str) -> None:
    """Raise ConfigurationError for what is no transaction of asyncpg."""
    if not isinstance(handle, _CONNECTIONS) or not handle.is_in_transaction():
        raise ConfigurationError(
            f"only a transaction of an asyncpg connection to {place} can be shared; this is "
            f"{handle!r}. Keep everything that commits together in the same database."
        )


class PostgresInlineRows:
    """A PostgresReadStore within the transaction of a log in the same database and schema.

    `identity` is that of the read store's schema; a connection that does not find it there leads to
    another database.
    """

    __slots__ = ("_connection", "_identity", "_projections", "_schema")

    def __init__(
        self,
        projections: Projections,
        schema: str,
        identity: str,
        connection: asyncpg.Connection,
    ) -> None:
        self._projections = projections
        self._schema = schema
        self._identity = identity
        self._connection = connection

    async def checkpoint(self, projection: str) -> CheckpointInfo:
        """As PostgresReadStore.checkpoint."""
        self._projections.known(projection)
        await self._check_database()
        found = await self._connection.fetch(sql("lock_checkpoint", self._schema), projection)
        return standing(*found[0]) if found else never_opened(projection)

    async def load(self, projection: str, keys: Sequence[str]) -> Loaded:
        """As PostgresReadStore.load, seeing what this transaction wrote."""
        table = self._projections.row_table(projection)
        await self._check_database()
        try:
            found = await self._connection.fetch(table.load, table.possible(keys))
        except asyncpg.UndefinedTableError as error:
            raise gone(table.name, self._schema) from error
        except OTHER_COLUMNS as error:
            raise table.misfit(str(error)) from error
        return table.loaded(found)

    async def parked(self, projection: str) -> list[Parked]:
        """As PostgresReadStore.parked."""
        self._projections.known(projection)
        await self._check_database()
        return decoded(
            await self._connection.fetch(sql("select_parked", self._schema), projection, None)
        )

    async def apply(self, changes: Sequence[Change]) -> None:
        """As PostgresReadStore.apply, committed by the log."""
        prepared = self._projections.prepare(changes)
        await self._check_database()
        if prepared:
            await write_changes(self._connection, self._schema, prepared)

    async def _check_database(self) -> None:
        known = isinstance(self._connection, asyncpg.Connection)
        if known and _identities.get(self._connection) == self._identity:
            return
        found = await self._connection.fetchval(sql("select_identity", self._schema))
        if found != self._identity:
            raise ConfigurationError(
                f"these read models (schema {self._schema}) are not in the database of the event "
                "log, so they cannot commit together. Keep both at the same URL."
            )
        if known:
            _identities[self._connection] = found


_identities: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
"""The read models that a connection has led to."""
