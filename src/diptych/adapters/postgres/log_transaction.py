"""An append's transaction as a participant sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from diptych.adapters.postgres.statements import sql
from diptych.adapters.postgres.stored_event import STORED_EVENT
from diptych.events.log import StoredEvent

__all__ = ["PostgresLogTransaction"]


class PostgresLogTransaction:
    """A LogTransaction; `handle` is the asyncpg connection.

    `events` are those of the transaction itself, where they are known, after position `before`.
    """

    __slots__ = ("_before", "_events", "_schema", "handle")

    def __init__(
        self,
        connection: asyncpg.Connection,
        schema: str,
        before: int = 0,
        events: Sequence[StoredEvent] | None = None,
    ) -> None:
        self.handle: Any = connection
        self._schema = schema
        self._before = before
        self._events = events

    async def read(self, after: int, limit: int) -> list[StoredEvent]:
        """As EventLog.read, including the events of this transaction."""
        if self._events is not None and after >= self._before:
            at = after - self._before
            return list(self._events[at : at + limit])
        rows = await self.handle.fetch(sql("select_events", self._schema), after, limit)
        return list(map(STORED_EVENT, rows))
