"""A read model that does not fit into memory, folded again portion by portion."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from diptych.operations.drift.pace import Pace
from diptych.operations.drift.portions import WHOLE, Portion, portions_of
from diptych.operations.drift.refold import Ground, Refold, Wanted
from diptych.queries.projection import Plan
from diptych.queries.read_store import ReadStore

__all__ = ["Folded", "Portioned"]


class Folded(NamedTuple):
    """A portion folded up to a checkpoint: its refold, and which keys it has (None: all)."""

    refold: Refold
    wanted: Wanted | None


class Portioned:
    """Makes one refold after the other, of about `most_rows` rows at most.

    `rows` is how many there are, as far as anybody knows: a portion that turns out to be larger is
    halved while it is folded, and its other half is folded later. `chosen` says which keys matter
    (None: all). `passes` is how often the log is still to be read.
    """

    def __init__(
        self, ground: Ground, plan: Plan, store: ReadStore, rows: int, most_rows: int
    ) -> None:
        self.chosen: Wanted | None = None
        self.pace = Pace(ground.environment)
        # Portions are not exactly even, and one that is too large is read twice.
        self._portions = deque(portions_of(rows, max(1, most_rows * 9 // 10)))
        self._ground = ground
        self._plan = plan
        self._store = store
        self._most_rows = most_rows

    @property
    def passes(self) -> int:
        """How many portions are left."""
        return len(self._portions)

    async def fold_next(self, reached: Callable[[int], None] | None = None) -> Folded:
        """Fold the next portion up to the present checkpoint; there must be one left.

        Raises as Refold.advance.
        """
        portion = self._portions.popleft()
        refold = Refold(self._ground, self._plan, self._store, self._wanted(portion), self.pace)

        def report(position: int) -> None:
            nonlocal portion
            if len(refold.rows) > self._most_rows:
                portion, other = portion.halves()
                self._portions.append(other)
                refold.narrow(self._wanted(portion) or portion.holds)
            if reached is not None:
                reached(position)

        await refold.advance((await self._store.checkpoint(self._plan.name)).position, report)
        return Folded(refold, self._wanted(portion))

    def _wanted(self, portion: Portion) -> Wanted | None:
        if portion == WHOLE:
            return self.chosen
        chosen, holds = self.chosen, portion.holds
        if chosen is None:
            return holds
        return lambda key: chosen(key) and holds(key)
