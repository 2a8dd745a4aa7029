"""The face of the trail: who did what, when and why, how it was, and whether that is still so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Any

from diptych.commands.table_repository import GENESIS
from diptych.errors import ConfigurationError
from diptych.events.log import EventLog
from diptych.messages.envelope import Metadata
from diptych.operations.trail.checking import SealCheck, check_log
from diptych.operations.trail.history import Progress, Wanted, wanted_events
from diptych.operations.trail.kinship import find_kin
from diptych.operations.trail.record import Record, metadata_of, record_of
from diptych.operations.trail.rows import (
    MOST_ROWS,
    PastEvents,
    TableRow,
    past_rows,
    past_table_rows,
)
from diptych.operations.trail.sealing import Sealed, seal_log
from diptych.operations.trail.state import LoadState, PastState, PastStates, owner_of
from diptych.operations.trail.tree import CauseTree, grow_tree
from diptych.parts import Parts
from diptych.queries.read_store import Row
from diptych.queries.source import Source

__all__ = ["Trail"]


class Trail:
    """The audit of one application.

    Args:
        log: Its log.
        parts: What it is made of.
        load: Gives the state of a write model: `LeftPanel.load`.
        sources: Its read models by projection (or read model) class.
        opened: Awaited before anything is read: opens what is not open yet.

    Reads the log through its port and writes nothing but the anchor given to `seal`. `progress`,
    where it is taken, is called with the position reached and the last one that will be looked at.
    """

    def __init__(
        self,
        log: EventLog,
        parts: Parts,
        load: LoadState,
        sources: Mapping[Any, Source],
        opened: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._log = log
        self._parts = parts
        self._sources = sources
        self._opened = opened or _open_already
        self._states = PastStates(log, parts.registry, parts.deciders, load)

    # -- who, what, when, why ----------------------------------------------------------------------

    async def history(
        self,
        stream: str | None = None,
        *,
        types: Sequence[str | type] = (),
        actor: str | None = None,
        tenant: str | None = None,
        correlation_id: str | None = None,
        causation_id: str | None = None,
        after: int = 0,
        upto: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        progress: Progress | None = None,
    ) -> AsyncIterator[Record]:
        """The records that meet everything given, ascending, up to the head of this moment.

        `after` (exclusive) and `upto` are positions. `since` and `until` are compared with what the
        writer's clock said for each event, which need not ascend. `types` are event classes or
        their names. One page of the log is in memory at a time; without `stream` and `types`, all
        of the range is read. What cannot be decoded is told as such and hides nothing else.
        Raises StoreError, UnknownMessageType for a class that no part names.
        """
        names = tuple(one if isinstance(one, str) else self._name(one) for one in types)
        wanted = Wanted(
            stream=stream,
            types=names,
            actor=actor,
            tenant=tenant,
            correlation_id=correlation_id,
            causation_id=causation_id,
            after=after,
            upto=upto,
            since=since,
            until=until,
        )
        await self._opened()
        async with aclosing(wanted_events(self._log, wanted, progress)) as found:
            async for stored in found:
                yield record_of(stored, self._parts.registry)

    async def tree(
        self,
        *,
        correlation_id: str | None = None,
        event_id: str | None = None,
        position: int | None = None,
        limit: int = 10_000,
        progress: Progress | None = None,
    ) -> CauseTree:
        """The whole conversation around one correlation id, event id or position, as a tree.

        It holds everything that shares a correlation id, what led to that and what followed from
        it, also across correlation ids; at most `limit` events, the first of the log. The log has
        no index on ids: this reads it once (by event id, or across correlation ids, again). An
        empty tree: nothing is known of it. Raises ConfigurationError unless one of the three is
        given.
        """
        if sum(one is not None for one in (correlation_id, event_id, position)) != 1:
            raise ConfigurationError(
                "a tree grows from one thing: give a correlation_id, an event_id, or a position."
            )
        await self._opened()
        correlations = set() if correlation_id is None else {correlation_id}
        events = set() if event_id is None else {event_id}
        if position is not None:
            found = await self._log.read(position - 1, 1) if position > 0 else []
            metadata = metadata_of(found[0]) if found else None
            if metadata is None:
                return CauseTree([], 0)
            events, correlations = _named_by(metadata)
        kin = await find_kin(
            self._log,
            correlation_ids=correlations,
            event_ids=events,
            limit=limit,
            progress=progress,
        )
        return await grow_tree(self._log, self._parts.registry, kin)

    # -- how it was --------------------------------------------------------------------------------

    async def state(
        self, kind: Any, key: object, *, version: int | None = None, at: datetime | None = None
    ) -> PastState:
        """The state of an aggregate (by class) or decider, at a version or at a time.

        "At a time" is the state after the longest beginning of the stream whose events were all
        recorded by then: the first event with a later time ends it, so nothing shows that was
        recorded later, however the writers' clocks disagreed. With neither: the newest. Raises
        ConfigurationError for a version that the stream does not have (yet), an unknown kind, a
        time without a zone, and where no events are kept.
        """
        if version is not None and at is not None:
            raise ConfigurationError("give a version or a time, not both.")
        await self._opened()
        if version is not None:
            return await self._states.at_version(kind, key, version)
        if at is not None:
            return await self._states.at_moment(kind, key, at)
        return await self._states.newest(kind, key)

    def owner_of(self, stream: str) -> tuple[Any, str]:
        """The write model whose stream this is, and the key in it. Raises ConfigurationError."""
        return owner_of(self._parts.deciders, stream)

    async def rows(
        self,
        projection: type,
        keys: Collection[str] | None = None,
        *,
        position: int | None = None,
        most_rows: int = MOST_ROWS,
        progress: Progress | None = None,
    ) -> AsyncIterator[Row]:
        """The rows of a projection as they were at a position: these keys, or all (None).

        Folded from the log, in memory, by the projection as it is written today; nothing is
        written, the kept rows are not looked at. Rows come in the order of their keys. A read model
        with more than `most_rows` rows comes in several such runs, for each of which the log is
        read again. Raises ConfigurationError for a view, a SqlProjection (ask `table_rows`), and a
        position behind the head; ProjectionFailed when an event cannot be folded.
        """
        source = self._source(projection)
        if source.plan.shape is None:
            raise ConfigurationError(
                f"{source.plan.name} keeps tables of its own, without keys: ask for its table_rows."
            )
        reading = await self._reading(source, position, progress)
        async with aclosing(past_rows(reading, keys, most_rows)) as rows:
            async for row in rows:
                yield row

    async def table_rows(
        self,
        projection: type,
        *,
        position: int | None = None,
        progress: Progress | None = None,
    ) -> AsyncIterator[TableRow]:
        """The rows of a SqlProjection's tables as they were at a position.

        Its statements run again in a scratch store, which is gone afterwards; one table is in
        memory at a time. Raises as `rows`.
        """
        source = self._source(projection)
        if source.plan.shape is not None:
            raise ConfigurationError(f"{source.plan.name} has rows by key: ask for its rows.")
        reading = await self._reading(source, position, progress)
        async with aclosing(past_table_rows(reading, source.store)) as rows:
            async for row in rows:
                yield row

    # -- is that still so --------------------------------------------------------------------------

    async def seal(
        self,
        anchor: str | Path,
        *,
        every: int = 100,
        to_head: bool = False,
        progress: Progress | None = None,
    ) -> Sealed:
        """Add a line with a hash to the file `anchor` for every `every` events not sealed yet.

        The last events, fewer than `every`, wait for the next time unless `to_head` is given. Each
        line hangs on the one before, and on the identity of the log. Stopped at any moment and
        called again, it goes on. Raises SealBroken when the last sealed block is not what it was,
        ConfigurationError for the anchor of another log, StoreUnavailable when the file cannot be
        written or another process is sealing into it.
        """
        await self._opened()
        return await seal_log(
            self._log, Path(anchor), every=every, to_head=to_head, progress=progress
        )

    async def check(self, anchor: str | Path, progress: Progress | None = None) -> SealCheck:
        """Hash the log again and compare it with the file `anchor`.

        Finds every block with a changed, added, missing or moved event; a log that is shorter, or
        another one; lines of the anchor that are changed or lost. It cannot find that the last
        lines of the anchor were cut off: look at `upto`. Raises ConfigurationError when there is no
        such file.
        """
        await self._opened()
        return await check_log(self._log, Path(anchor), progress)

    def _name(self, cls: type) -> str:
        return self._parts.registry.of(cls).identity.name

    def _source(self, projection: type) -> Source:
        return self._sources[self._parts.plan_for(projection).projection]

    async def _reading(
        self, source: Source, position: int | None, progress: Progress | None
    ) -> PastEvents:
        await self._opened()
        head = await self._log.head()
        if position is not None and not 0 <= position <= head:
            raise ConfigurationError(f"there is no position {position}: the log stands at {head}.")
        upto = head if position is None else position
        return PastEvents(self._log, self._parts.registry, source.plan, upto, progress)


async def _open_already() -> None:
    """Nothing to open: whoever made the trail has done so."""


def _named_by(metadata: Metadata) -> tuple[set[str], set[str]]:
    """What an event leads to at once: its own id and its cause's; its conversation."""
    events = {metadata.event_id, metadata.causation_id} - {None, GENESIS}
    correlations = {metadata.correlation_id} - {None, GENESIS}
    return {one for one in events if one}, {one for one in correlations if one}
