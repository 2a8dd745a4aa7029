"""Before a row is called wrong, the log is folded afresh for it.

The first refold may have left out of a row what has been retried since, and a retry may fall
between two readings. Doubtful rows are few, so they get a second refold of their own, and are
looked at twice.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from diptych.errors import StaleRead
from diptych.operations.drift.comparing import Doubt, look
from diptych.operations.drift.pace import Pace
from diptych.operations.drift.refold import Ground, Refold
from diptych.operations.drift.results import Difference, name_of
from diptych.queries.projection import Plan
from diptych.queries.read_store import ReadStore

__all__ = ["as_difference", "judge"]

_ATTEMPTS = 10
_AT_ONCE = 1_000


async def judge(
    ground: Ground, plan: Plan, store: ReadStore, keys: Sequence[str], pace: Pace | None = None
) -> list[Difference]:
    """Those of `keys` whose rows are not what the log says, in the order of keys.

    Reads the log once more. Raises as Refold.advance, and StaleRead when parked events of the same
    keys were retried or skipped each time that the log was read.
    """
    found: list[Difference] = []
    left = sorted(set(keys))
    for _ in range(_ATTEMPTS):
        if not left:
            return sorted(found, key=lambda one: one.key)
        chosen = frozenset(left)
        refold = Refold(ground, plan, store, chosen.__contains__, pace)
        await refold.advance((await store.checkpoint(plan.name)).position)
        again: list[str] = []
        for at in range(0, len(left), _AT_ONCE):
            doubts = (await look(refold, left[at : at + _AT_ONCE])).doubts
            if doubts:
                doubts = (await look(refold, [one.key for one in doubts])).doubts
            for doubt in doubts:
                if refold.spoiled(doubt.key):
                    again.append(doubt.key)
                else:
                    found.append(as_difference(plan, doubt))
        left = again
    raise StaleRead(
        f"what is parked for {len(left)} rows of {plan.name} changed each of the {_ATTEMPTS} times "
        "they were compared. Verify again when fewer parked events are retried.",
        projection=plan.name,
    )


def as_difference(plan: Plan, doubt: Doubt) -> Difference:
    """A doubtful row as what is said of a wrong one, which nobody changes any more."""
    kept, expected = doubt.kept, doubt.expected
    return Difference(
        name_of(plan),
        doubt.key,
        kept.value if kept else None,
        # A refold goes on changing its rows.
        copy.deepcopy(expected.value) if expected else None,
        kept.position if kept else 0,
        expected.position if expected else 0,
    )
