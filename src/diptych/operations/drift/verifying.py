"""Proof that read models are right: the log folded again from nothing, compared row by row.

Memory holds at most `most_rows` rows (and what differs). A read model with more is compared in
portions: keys by their hash, the log read once and the rows read once for each portion. So half the
memory costs twice the time. Rows of projections with own SQL are all in memory at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from diptych.errors import CheckpointMoved, ConfigurationError, DiptychError, StoreError
from diptych.operations.drift.comparing import Found, compare_keys, compare_rows
from diptych.operations.drift.judging import judge
from diptych.operations.drift.pace import Pace
from diptych.operations.drift.portioned import Folded, Portioned
from diptych.operations.drift.refold import Ground
from diptych.operations.drift.results import Compared, Difference, Verification, name_of
from diptych.operations.drift.selection import EVERYTHING, Selection, keys_of_tenant, sampled
from diptych.operations.drift.tables import compare_tables
from diptych.queries.projection import Plan
from diptych.queries.read_store import ReadStore

__all__ = ["MOST_ROWS", "Kept", "Progress", "verify"]

MOST_ROWS = 200_000
"""Rows of a read model that are in memory at once, unless told: some hundred megabytes."""

Progress = Callable[[int, int], None]
"""Called with the number of events folded so far and in all (summed over projections)."""

Kept = tuple[Plan, ReadStore]
"""A projection (its plan named as its rows are) and where it is kept."""


async def verify(
    ground: Ground,
    kept: Sequence[Kept],
    selection: Selection = EVERYTHING,
    progress: Progress | None = None,
    most_rows: int = MOST_ROWS,
) -> Verification:
    """Compare every projection in `kept` with the log folded again; see Drift.verify."""
    selection.check()
    if selection.sample is not None and selection.seed is None:
        chance = ground.environment.random.getrandbits(32)
        selection = Selection(sample=selection.sample, seed=chance)
    chosen = [one for one in kept if _has_keys(one) or not selection.needs_keys]
    if kept and not chosen:
        names = ", ".join(name_of(plan) for plan, _ in kept)
        raise ConfigurationError(
            f"{names} writes its own SQL, where nobody can tell which rows belong to a key or a "
            "tenant. Verify it as a whole."
        )
    head = await ground.log.head()
    meter = _Meter(progress, head, len(chosen))
    compared: list[Compared] = []
    differences: list[Difference] = []
    for plan, store in chosen:
        try:
            if plan.shape is None:
                pace = Pace(ground.environment)
                one, found = await compare_tables(ground, plan, store, pace, meter.reached)
                meter.passed()
            else:
                one, found = await _Rows(ground, plan, store, meter, most_rows).compare(selection)
        except (ConfigurationError, StoreError) as error:
            await _look_whether_dropped(plan, store, error)
            raise
        compared.append(one)
        differences += found
    meter.finished()
    return Verification(
        not differences,
        sum(one.rows for one in compared),
        head,
        tuple(differences),
        tuple(compared),
        selection.seed,
        tuple(name_of(plan) for plan, store in kept if (plan, store) not in chosen),
    )


async def _look_whether_dropped(plan: Plan, store: ReadStore, error: DiptychError) -> None:
    generations = await store.generations(name_of(plan))
    if plan.name not in {one.name for one in generations}:
        raise CheckpointMoved(
            f"the rows of {plan.name} were dropped while they were compared, after others had "
            "taken their place. Verify again.",
            projection=name_of(plan),
            expected=None,
            actual=None,
        ) from error


def _has_keys(one: Kept) -> bool:
    return one[0].shape is not None


class _Meter:
    """How far a verification has come, as one number of events."""

    def __init__(self, progress: Progress | None, head: int, passes: int) -> None:
        self._progress = progress
        self._head = head
        self._passes = passes
        self._passed = 0

    def reached(self, position: int) -> None:
        """The present pass has come so far."""
        if self._progress is not None:
            done = self._passed * self._head + min(position, self._head)
            self._progress(done, self._passes * self._head)

    def more(self, passes: int) -> None:
        """The log is to be read more often than was thought."""
        self._passes += passes

    def passed(self) -> None:
        """The present pass has ended."""
        self._passed += 1

    def finished(self) -> None:
        """All of it has ended, also for projections that stand before the head."""
        self._passed = self._passes
        self.reached(0)


class _Rows:
    """The rows of one projection."""

    def __init__(
        self, ground: Ground, plan: Plan, store: ReadStore, meter: _Meter, most_rows: int
    ) -> None:
        self._ground = ground
        self._plan = plan
        self._store = store
        self._meter = meter
        self._most_rows = most_rows

    async def compare(self, selection: Selection) -> tuple[Compared, list[Difference]]:
        """All rows that are selected."""
        keys, portioned = await self._selected(selection)
        rows, position, known = 0, 0, 1
        differences: list[Difference] = []
        while portioned.passes:

            def reached(at: int) -> None:
                nonlocal known
                self._meter.more(portioned.passes + 1 - known)
                known = portioned.passes + 1
                self._meter.reached(at)

            folded = await portioned.fold_next(reached)
            found = await self._compared(folded, keys)
            rows, position = rows + found.rows, folded.refold.at
            for at in range(0, len(found.doubts), self._most_rows):
                some = found.doubts[at : at + self._most_rows]
                differences += await judge(self._ground, self._plan, self._store, some)
            self._meter.passed()
            known -= 1
        return Compared(name_of(self._plan), rows, position, len(differences)), differences

    async def _compared(self, folded: Folded, keys: frozenset[str] | None) -> Found:
        pace = Pace(self._ground.environment)
        if keys is None:
            return await compare_rows(folded.refold, folded.wanted, pace)
        mine = sorted(keys if folded.wanted is None else filter(folded.wanted, keys))
        return await compare_keys(folded.refold, mine, pace)

    async def _selected(self, selection: Selection) -> tuple[frozenset[str] | None, Portioned]:
        """The keys that are meant, if they are known beforehand, and what folds them."""
        keys: frozenset[str] | None = None
        plan, store = self._plan, self._store
        if selection.keys is not None:
            keys = frozenset(selection.keys)
        elif selection.tenant is not None:
            checkpoint = (await store.checkpoint(plan.name)).position
            keys = await keys_of_tenant(self._ground, plan, selection.tenant, checkpoint)
        elif selection.sample is not None:
            portioned = self._portioned(selection.sample)
            portioned.chosen = await sampled(plan, store, selection.sample, selection.seed or 0)
            return None, portioned
        portioned = self._portioned(await store.count(plan.name) if keys is None else len(keys))
        portioned.chosen = None if keys is None else keys.__contains__
        return keys, portioned

    def _portioned(self, rows: int) -> Portioned:
        return Portioned(self._ground, self._plan, self._store, rows, self._most_rows)
