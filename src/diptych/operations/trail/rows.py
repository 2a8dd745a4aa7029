"""Read models as they were: folded again from the log up to a position, and written nowhere."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterable
from typing import Any, NamedTuple
from zlib import crc32

from diptych.errors import ConfigurationError
from diptych.events.log import EventLog
from diptych.messages.registry import Registry
from diptych.operations.trail.history import Progress
from diptych.queries.fold import Batch
from diptych.queries.projection import FoldStep, Plan
from diptych.queries.read_store import ReadStore, Row
from diptych.sync.subscription import Subscription

__all__ = ["MOST_ROWS", "TableRow", "past_rows", "past_table_rows"]

MOST_ROWS = 100_000
"""How many rows are held at once; a larger read model takes several readings of the log."""

_BATCH = 2_000
_ALL = 1 << 32


class TableRow(NamedTuple):
    """One row of a table that a SqlProjection keeps."""

    table: str
    values: dict[str, Any]


async def past_rows(
    reading: PastEvents, keys: Collection[str] | None, most: int
) -> AsyncGenerator[Row, None]:
    """The rows of these keys (None: all), in the order of their keys, at most `most` at once.

    Where there are more, the rows come in several such runs, each a reading of the log: the space
    of hashed keys is halved as often as it takes for the rows of one part to fit.
    """
    left = [_Part(0, _ALL)]
    while left:
        part = left.pop()
        wants = part.holds if keys is None else frozenset(keys).__contains__
        plan = _only(reading.plan, wants)
        rows: dict[str, Row] = {}
        async for batch in reading.batches(plan):
            change = batch.change({key: rows[key] for key in batch.keys if key in rows})
            rows.update((row.key, row) for row in change.rows)
            for key in change.deleted:
                rows.pop(key, None)
            while keys is None and len(rows) > most and part.width > 1:
                left.append(part.split())
                rows = {key: row for key, row in rows.items() if part.holds(key)}
        for key in sorted(rows):
            yield rows[key]


async def past_table_rows(reading: PastEvents, store: ReadStore) -> AsyncGenerator[TableRow, None]:
    """All rows of a SqlProjection's tables, from a scratch store; one table in memory at a time."""
    scratch = store.scratch()
    try:
        await scratch.open([reading.plan.table])
        async for batch in reading.batches(reading.plan):
            await scratch.apply([batch.change({})])
        for table in reading.plan.table.tables:
            # The name comes from the projection's class, never from outside.
            for row in await scratch.select(f'SELECT * FROM "{table}"'):  # noqa: S608
                yield TableRow(table, row)
    finally:
        await scratch.close()


class PastEvents:
    """The events that one projection had seen at a position, in batches.

    Raises ProjectionFailed when one of them cannot be folded.
    """

    def __init__(
        self,
        log: EventLog,
        registry: Registry,
        plan: Plan,
        position: int,
        progress: Progress | None = None,
    ) -> None:
        if plan.table.view is not None:
            raise ConfigurationError(
                f"{plan.name} is a view: the database computes it from its tables, so the log "
                "cannot say how it was. Ask for a projection."
            )
        self.plan = plan
        self._position = position
        self._subscription = Subscription(log, registry, plan.steps)
        self._progress = progress

    async def batches(self, plan: Plan) -> AsyncIterator[Batch]:
        """The events as batches of `plan`, which may want fewer keys than the projection."""
        at = 0
        while at < self._position:
            delivery = await self._subscription.deliver(at, _BATCH, self._position)
            failure = delivery.failure(plan.name)
            if failure is not None:
                raise failure
            yield Batch(plan, delivery.envelopes, at, delivery.upto)
            at = delivery.upto
            if self._progress is not None:
                self._progress(at, self._position)


class _Part:
    """A part of the space of hashed keys, which may become smaller."""

    def __init__(self, first: int, end: int) -> None:
        self._first = first
        self._end = end

    @property
    def width(self) -> int:
        return self._end - self._first

    def holds(self, key: str) -> bool:
        return self._first <= crc32(key.encode("utf-8", "surrogatepass")) < self._end

    def split(self) -> _Part:
        """Keep the lower half, and give the upper one."""
        middle = (self._first + self._end) // 2
        upper = _Part(middle, self._end)
        self._end = middle
        return upper


def _only(plan: Plan, wants: Callable[[str], bool]) -> Plan:
    """The same projection, for which an event touches no other keys than the wanted ones."""
    return plan._replace(steps={cls: _narrowed(step, wants) for cls, step in plan.steps.items()})


def _narrowed(step: FoldStep, wants: Callable[[str], bool]) -> FoldStep:
    keys = step.keys
    assert keys is not None  # noqa: S101  a projection with rows has keys

    def wanted(event: Any) -> Iterable[str]:
        found = keys(event)
        if step.many:
            several = (found,) if type(found) is str else found
            return [key for key in several if type(key) is not str or wants(key)]
        key = found if type(found) is str else str(found)
        return [key] if wants(key) else []

    return step._replace(keys=wanted, many=True)
