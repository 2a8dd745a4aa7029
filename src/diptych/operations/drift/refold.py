"""The log folded again for some keys, up to an exact position, and on from there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from diptych.environment import Environment
from diptych.errors import CheckpointMoved, LogRestored
from diptych.events.log import EventLog
from diptych.messages.registry import Registry
from diptych.operations.drift.pace import Pace
from diptych.queries.fold import Batch
from diptych.queries.omitted import Omitted
from diptych.queries.parked import Lane, Parked
from diptych.queries.projection import FoldStep, Keys, Plan
from diptych.queries.read_store import ReadStore, Row
from diptych.sync.subscription import Delivery, Subscription

__all__ = ["Ground", "Refold", "Wanted"]

Wanted = Callable[[str], bool]
"""Whether a key is one of those that are looked at."""

_BATCH = 5_000
_Left = frozenset[tuple[Lane, int]]


class Ground(NamedTuple):
    """What everything here stands on: the log, how its bytes become events, the outside world."""

    log: EventLog
    registry: Registry
    environment: Environment


class Refold:
    """The rows of the keys that are `wanted` (None: of all), as the log says, up to `at`.

    It moves forward only. Events that are parked or skipped are left out; what a row is `at` a
    position depends on what was parked when its projection stood there, so `advance` to a
    checkpoint that the projection has reached, soon after it was read. Keys for which something
    was parked, retried or skipped afterwards are `spoiled`: fold them afresh.
    """

    def __init__(
        self,
        ground: Ground,
        plan: Plan,
        store: ReadStore,
        wanted: Wanted | None = None,
        pace: Pace | None = None,
    ) -> None:
        self.at = 0
        self.rows: dict[str, Row] = {}
        self.plan = plan
        self.store = store
        self._log = ground.log
        self._folded = plan if wanted is None else _only(plan, wanted)
        self._subscription = Subscription(ground.log, ground.registry, plan.steps)
        self._pace = pace or Pace(ground.environment)
        self._left: _Left = frozenset()
        self._spoiled: set[Lane] = set()

    async def advance(self, upto: int, report: Callable[[int], None] | None = None) -> None:
        """Fold up to and including `upto`, a checkpoint of the projection that was just read.

        `report` is called with the position reached. Raises CheckpointMoved when `upto` lies behind
        what was folded, ProjectionFailed on an event that cannot be folded, LogRestored when the
        log ends before `upto`.
        """
        if upto < self.at:
            raise CheckpointMoved(
                f"{self.plan.name} stood at position {self.at} and now stands at {upto}: it was "
                "reset, rebuilt or restored while its rows were compared. Verify it again when it "
                "has caught up.",
                projection=self.plan.name,
                expected=self.at,
                actual=upto,
            )
        entries = await self._parked()
        self._spoil(entries)
        left_out = [one for one in entries if one.position <= upto]
        omitted, undecoded = Omitted(left_out), {one.position for one in left_out if one.by_stream}
        while self.at < upto:
            before = self.at
            delivery = await self._subscription.deliver(before, self._pace.at_once(_BATCH), upto)
            await self._fold(delivery, omitted)
            self.at = self._passed(delivery, undecoded, upto)
            await self._pace.spend(self.at - before)
            if report is not None:
                report(self.at)
        self._left = frozenset((one.lane, one.position) for one in left_out)

    def spoiled(self, key: str) -> bool:
        """Whether what was left out of a row has changed since it was folded."""
        return Lane(key) in self._spoiled or any(lane.by_stream for lane in self._spoiled)

    @property
    def disturbed(self) -> bool:
        """Whether any row is spoiled."""
        return bool(self._spoiled)

    def narrow(self, wanted: Wanted) -> None:
        """Fold fewer keys from now on."""
        self._folded = _only(self.plan, wanted)
        self.rows = {key: row for key, row in self.rows.items() if wanted(key)}

    async def _fold(self, delivery: Delivery, omitted: Omitted) -> None:
        batch = Batch(self._folded, delivery.envelopes, delivery.after, delivery.upto, omitted)
        rows = self.rows
        change = batch.change({key: rows[key] for key in batch.keys if key in rows})
        rows.update((row.key, row) for row in change.rows)
        for key in change.deleted:
            rows.pop(key, None)

    def _passed(self, delivery: Delivery, undecoded: set[int], upto: int) -> int:
        if delivery.broken is not None:
            if delivery.broken[0].position not in undecoded:
                failure = delivery.failure(self.plan.name)
                assert failure is not None  # noqa: S101  something is broken
                raise failure
            return delivery.broken[0].position
        if delivery.upto == delivery.after:
            raise LogRestored(
                f"{self.plan.name} has seen position {upto}, but the log ends at {delivery.upto}: "
                "the log was restored to an older state, or is another one. Rebuild the "
                "projection.",
                projection=self.plan.name,
                checkpoint=upto,
                head=delivery.upto,
            )
        return delivery.upto

    async def _parked(self) -> list[Parked]:
        if not (await self.store.checkpoint(self.plan.name)).parks:
            return []
        return await self.store.parked(self.plan.name)

    def _spoil(self, entries: Iterable[Parked]) -> None:
        left = {(one.lane, one.position) for one in entries if one.position <= self.at}
        self._spoiled.update(lane for lane, _ in left ^ self._left)


def _only(plan: Plan, wanted: Wanted) -> Plan:
    """The same projection, folding the keys that are wanted."""
    steps = {event: _only_step(step, wanted) for event, step in plan.steps.items()}
    return plan._replace(steps=steps)


def _only_step(step: FoldStep, wanted: Wanted) -> FoldStep:
    if step.keys is None:
        return step
    keys: Keys = step.keys

    def several(event: Any) -> Any:
        found = keys(event)
        if type(found) is str:
            return found if wanted(found) else ()
        # What is no str is left in, for the fold to say so.
        return [key for key in found if type(key) is not str or wanted(key)]

    def one(event: Any) -> tuple[str, ...]:
        key = str(keys(event))
        return (key,) if wanted(key) else ()

    return step._replace(keys=several if step.many else one, many=True)
