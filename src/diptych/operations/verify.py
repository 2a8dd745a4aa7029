"""Proof that read models are right: the log folded again from nothing, compared row by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from diptych.errors import StaleRead
from diptych.events.log import EventLog
from diptych.messages.registry import Registry
from diptych.queries.fold import Batch
from diptych.queries.projection import Plan
from diptych.queries.read_store import Find, ReadStore, Row
from diptych.sync.subscription import Subscription

__all__ = ["Difference", "Verification", "verify"]

Progress = Callable[[int, int], None]
"""Called with the number of events folded so far and in all (summed over projections)."""

_BATCH = 5_000
_ATTEMPTS = 5


class Difference(msgspec.Struct, frozen=True):
    """One row that is not what the log says. None: there is no such row on that side."""

    projection: str
    key: str
    kept: Any
    expected: Any


class Verification(msgspec.Struct, frozen=True):
    """What was compared: `rows` of all read models against the log's first `events` events."""

    ok: bool
    rows: int
    events: int
    differences: tuple[Difference, ...] = ()


async def verify(
    log: EventLog,
    registry: Registry,
    kept: Sequence[tuple[Plan, ReadStore]],
    progress: Progress | None = None,
) -> Verification:
    """Compare the rows of every projection in `kept` with the log folded again; see App.verify."""
    head = await log.head()
    rows = 0
    differences: list[Difference] = []
    for number, (plan, store) in enumerate(kept):
        done = number * head

        def report(folded: int, done: int = done) -> None:
            if progress is not None:
                progress(done + min(folded, head), head * len(kept))

        subscription = Subscription(log, registry, plan.steps)
        compared = await _Comparison(plan, store, subscription, report).run()
        rows += compared.rows
        differences += compared.differences
    return Verification(not differences, rows, head, tuple(differences))


class _Comparison:
    """One projection folded beside its kept rows."""

    def __init__(
        self,
        plan: Plan,
        store: ReadStore,
        subscription: Subscription,
        report: Callable[[int], None],
    ) -> None:
        self.rows = 0
        self.differences: list[Difference] = []
        self._plan = plan
        self._store = store
        self._subscription = subscription
        self._report = report
        self._at = 0
        self._folded: dict[str, Row] = {}
        self._scratch: ReadStore | None = None

    async def run(self) -> _Comparison:
        try:
            for _ in range(_ATTEMPTS):
                if await self._compare():
                    return self
        finally:
            if self._scratch is not None:
                await self._scratch.close()
        raise StaleRead(
            f"{self._plan.name} moved on each of the {_ATTEMPTS} times its rows were read. Verify "
            "again when fewer commands arrive.",
            projection=self._plan.name,
        )

    async def _compare(self) -> bool:
        checkpoint = (await self._store.checkpoint(self._plan.name)).position
        await self._fold_up_to(checkpoint)
        if self._plan.shape is None:
            await self._compare_tables()
        else:
            await self._compare_rows()
        # Rows are read in pages; only if nothing moved meanwhile were they all of one moment.
        return (await self._store.checkpoint(self._plan.name)).position == checkpoint

    async def _fold_up_to(self, position: int) -> None:
        while self._at < position:
            delivery = await self._subscription.deliver(self._at, _BATCH, position)
            failure = delivery.failure(self._plan.name)
            if failure is not None:
                raise failure
            await self._fold(Batch(self._plan, delivery.envelopes, self._at, delivery.upto))
            self._at = delivery.upto
            self._report(self._at)

    async def _fold(self, batch: Batch) -> None:
        if self._plan.shape is None:
            if self._scratch is None:
                self._scratch = self._store.scratch()
                await self._scratch.open([self._plan.table])
            await self._scratch.apply([batch.change({})])
            return
        here = {key: self._folded[key] for key in batch.keys if key in self._folded}
        change = batch.change(here)
        self._folded.update((row.key, row) for row in change.rows)
        for key in change.deleted:
            self._folded.pop(key, None)

    async def _compare_rows(self) -> None:
        self.rows, self.differences = 0, []
        missing = set(self._folded)
        after: str | None = None
        while page := await self._store.find(self._plan.name, Find(limit=1_000, after_key=after)):
            for row in page:
                self.rows += 1
                missing.discard(row.key)
                expected = self._folded.get(row.key)
                if expected is None or expected.value != row.value:
                    self._differ(row.key, row.value, expected.value if expected else None)
            after = page[-1].key
        for key in sorted(missing):
            self._differ(key, None, self._folded[key].value)

    async def _compare_tables(self) -> None:
        self.rows, self.differences = 0, []
        for table in self._plan.table.tables:
            kept = await self._table(self._store, table)
            self.rows += sum(kept.values())
            expected = Counter[Any]()
            if self._scratch is not None:
                expected = await self._table(self._scratch, table)
            for row in (kept - expected).elements():
                self._differ(table, dict(row), None)
            for row in (expected - kept).elements():
                self._differ(table, None, dict(row))

    async def _table(self, store: ReadStore, table: str) -> Counter[Any]:
        # The name comes from the projection's class, never from outside.
        rows = await store.select(f'SELECT * FROM "{table}"')  # noqa: S608
        return Counter(tuple(row.items()) for row in rows)

    def _differ(self, key: str, kept: Any, expected: Any) -> None:
        self.differences.append(Difference(self._plan.name, key, kept, expected))
