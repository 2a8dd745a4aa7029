"""A projection with own SQL: folded again into a store of its own, and its tables compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Self

from diptych.errors import StaleRead
from diptych.operations.drift.pace import Pace
from diptych.operations.drift.refold import Ground, Refold
from diptych.operations.drift.results import Compared, Difference, name_of
from diptych.queries.fold import Batch
from diptych.queries.omitted import Omitted
from diptych.queries.projection import Plan
from diptych.queries.read_store import ReadStore
from diptych.sync.lease import held
from diptych.sync.subscription import Delivery

__all__ = ["compare_tables"]

_FREE_LOOKS = 3
"""How often tables are read while their projection may move; then its lease is held meanwhile."""

_MOST_LOOKS = 20

_Tables = dict[str, Counter[Any]]


async def compare_tables(
    ground: Ground,
    plan: Plan,
    store: ReadStore,
    pace: Pace,
    report: Callable[[int], None] | None = None,
) -> tuple[Compared, list[Difference]]:
    """Compare all rows of all tables of a projection, whatever their order.

    Memory: the rows of both sides. Where the projection keeps moving while its tables are read, its
    lease is held for that moment: runners wait, commands do not. Raises as Refold.advance.
    """
    for _ in range(_MOST_LOOKS):
        async with _Scratch(ground, plan, store, pace) as refold:
            position, kept = await _read_at_one_moment(ground, refold, report)
            await refold.advance(position, report)
            expected = await _tables(refold.into, plan)
            differences = list(_differences(plan, kept, expected))
            rows = sum(sum(table.values()) for table in kept.values())
            if differences and (await store.checkpoint(plan.name)).parks:
                await refold.advance((await store.checkpoint(plan.name)).position)
                if refold.disturbed:  # something parked was retried between two readings
                    continue
            return Compared(name_of(plan), rows, position, len(differences)), differences
    raise _moving(plan)


class _Scratch(Refold):
    """A refold into tables of its own."""

    def __init__(self, ground: Ground, plan: Plan, store: ReadStore, pace: Pace) -> None:
        super().__init__(ground, plan, store, None, pace)
        self.into = store.scratch()

    async def __aenter__(self) -> Self:
        await self.into.open([self.plan.table])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.into.close()

    async def _fold(self, delivery: Delivery, omitted: Omitted) -> None:
        batch = Batch(self.plan, delivery.envelopes, delivery.after, delivery.upto, omitted)
        await self.into.apply([batch.change({})])


async def _read_at_one_moment(
    ground: Ground, refold: Refold, report: Callable[[int], None] | None
) -> tuple[int, _Tables]:
    plan, store = refold.plan, refold.store
    for _ in range(_FREE_LOOKS):
        before = (await store.checkpoint(plan.name)).position
        await refold.advance(before, report)
        found = await _unmoved(plan, store, before)
        if found is not None:
            return before, found
    async with held(store, plan.name, ground.environment, "its tables are compared"):
        for _ in range(_MOST_LOOKS):  # only commands move it, if it is inline
            before = (await store.checkpoint(plan.name)).position
            found = await _unmoved(plan, store, before)
            if found is not None:
                return before, found
    raise _moving(plan)


async def _unmoved(plan: Plan, store: ReadStore, position: int) -> _Tables | None:
    """The tables at a checkpoint; None when they have moved on from there."""
    found = await _tables(store, plan)
    return found if (await store.checkpoint(plan.name)).position == position else None


async def _tables(store: ReadStore, plan: Plan) -> _Tables:
    found: _Tables = {}
    for table in plan.table.tables:
        # The name comes from the projection's class, never from outside.
        rows = await store.select(f'SELECT * FROM "{table}"')  # noqa: S608
        found[table] = Counter(
            tuple((name, _countable(value)) for name, value in row.items()) for row in rows
        )
    return found


def _countable(value: Any) -> Any:
    """An array of the database as what can be counted."""
    return tuple(map(_countable, value)) if isinstance(value, list) else value


def _differences(plan: Plan, kept: _Tables, expected: _Tables) -> Iterator[Difference]:
    for table in plan.table.tables:
        for row in (kept[table] - expected[table]).elements():
            yield Difference(name_of(plan), table, dict(row), None)
        for row in (expected[table] - kept[table]).elements():
            yield Difference(name_of(plan), table, None, dict(row))


def _moving(plan: Plan) -> StaleRead:
    return StaleRead(
        f"{plan.name} moved on each of the {_MOST_LOOKS} times its tables were read, although no "
        "runner could: it is inline, and commands move it. Verify it when fewer commands arrive.",
        projection=plan.name,
    )
