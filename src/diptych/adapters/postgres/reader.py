"""Reading events: by position, by stream, by type and tag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diptych.adapters.postgres.database import PostgresDatabase
from diptych.adapters.postgres.statements import sql
from diptych.adapters.postgres.stored_event import STORED_EVENT
from diptych.events.condition import EventFilter
from diptych.events.log import CommandRecord, Snapshot, StoredEvent

__all__ = ["LogReader"]

_SLICE = 5000
"""Events read in one go. The event loop gets a turn after as many."""
_NO_LIMIT = 1 << 62
_WIDTH = 20_000
"""Positions that are looked through in one go for events without a tag."""


class LogReader:
    """Reads a log on the pooled connections of its database."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._fetch = database.fetch
        self._schema = database.location.schema

    async def head(self) -> int:
        """The highest position."""
        head: int = (await self._fetch(sql("select_head", self._schema)))[0][0]
        return head

    async def events(self, after: int, limit: int) -> list[StoredEvent]:
        """Events in commit order."""
        return await self._in_slices(sql("select_events", self._schema), (), after, limit, by=0)

    async def stream(self, stream: str, after: int, limit: int | None) -> list[StoredEvent]:
        """Events of one stream, in order."""
        limit = _NO_LIMIT if limit is None else limit
        statement = sql("select_stream", self._schema)
        return await self._in_slices(statement, (stream,), after, limit, by=2)

    async def matching(
        self, after: int, limit: int, filters: Sequence[EventFilter]
    ) -> list[StoredEvent]:
        """Events that match one of the filters, in commit order."""
        found: list[StoredEvent] = []
        head = await self.head()
        while after < head and len(found) < limit:
            size = min(limit - len(found), _SLICE)
            first, after = await self._next_matching(after, head, size, filters)
            if first:
                rows = await self._fetch(sql("select_events_at", self._schema), first)
                found += map(STORED_EVENT, rows)
        return found

    async def first_matching(self, after: int, head: int, filters: Sequence[EventFilter]) -> int:
        """The first position up to `head` that matches one of the filters; 0: there is none."""
        while after < head:
            first, after = await self._next_matching(after, head, 1, filters)
            if first:
                return first[0]
        return 0

    async def snapshot(self, stream: str) -> Snapshot | None:
        """The snapshot of a stream, if there is one."""
        found = await self._fetch(sql("select_snapshot", self._schema), stream)
        return Snapshot._make(found[0]) if found else None

    async def commands(self, command_ids: Sequence[str]) -> dict[str, CommandRecord]:
        """The first answers to those of the command ids that were recorded."""
        found = await self._fetch(sql("select_commands", self._schema), list(command_ids))
        return {row[0]: CommandRecord._make(row) for row in found}

    async def _next_matching(
        self, after: int, head: int, size: int, filters: Sequence[EventFilter]
    ) -> tuple[list[int], int]:
        """Up to `size` positions, and the position up to which everything was looked at."""
        # With tags an index leads to the events; without, a range of the log is looked through.
        by_tags = all(wanted.tags for wanted in filters)
        upto = head if by_tags else min(after + _WIDTH, head)
        positions: set[int] = set()
        for wanted in filters:
            positions.update(await self._positions(wanted, after, upto, size))
        first = sorted(positions)[:size]
        return first, first[-1] if len(first) == size else upto

    async def _positions(self, wanted: EventFilter, after: int, upto: int, limit: int) -> list[int]:
        arguments: tuple[Any, ...] = (list(wanted.types), after, upto, limit)
        if wanted.tags:
            statement = sql("select_events_with_tags", self._schema)
            rows = await self._fetch(statement, *arguments, list(wanted.tags))
        else:
            rows = await self._fetch(sql("select_events_of_types", self._schema), *arguments)
        return [row[0] for row in rows]

    async def _in_slices(
        self, statement: str, of: tuple[str, ...], after: int, limit: int, by: int
    ) -> list[StoredEvent]:
        """Read in slices. Nothing ever changes behind us, so several reads see one log."""
        events: list[StoredEvent] = []
        while True:
            size = max(min(limit - len(events), _SLICE), 0)
            rows = await self._fetch(statement, *of, after, size)
            events += map(STORED_EVENT, rows)
            if len(rows) < _SLICE or len(events) >= limit:
                return events
            after = rows[-1][by]
