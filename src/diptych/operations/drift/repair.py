"""Mending rows: exactly these keys become what the log says, and nothing else is touched.

The same makes the row of one key anew, or all rows of one tenant.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

import msgspec

from diptych.errors import CheckpointMoved, ConfigurationError, LeaseLost
from diptych.operations.drift.comparing import Looked, look
from diptych.operations.drift.judging import as_difference, judge
from diptych.operations.drift.refold import Ground, Refold
from diptych.operations.drift.results import Difference, name_of
from diptych.queries.projection import Plan
from diptych.queries.read_store import Change, ReadStore
from diptych.sync.lease import held

__all__ = ["Repaired", "repair"]

_ATTEMPTS = 20


class Repaired(msgspec.Struct, frozen=True):
    """What was mended at the checkpoint `position`: rows `written` and `deleted`, by their keys.

    `differences` says what each of them was and became. In a `dry_run` nothing was written, and
    this is what would have been. `ok`: looked at afterwards, all of these keys were right.
    """

    projection: str
    position: int
    written: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    dry_run: bool = False
    ok: bool = True


async def repair(
    ground: Ground, plan: Plan, store: ReadStore, keys: Sequence[str], *, dry_run: bool = False
) -> Repaired:
    """Make the rows of `keys` what the log says, in one write that leaves the checkpoint as it is.

    The log is read before; then the lease of the projection is held for the moment it takes to fold
    what was added meanwhile, and to write. Rows of other keys keep even their positions. Afterwards
    the log is read once more, and the keys are compared again. Memory: the rows of these keys.

    Raises ConfigurationError for a projection with own SQL, or whose rows were made by another
    version of it (an older release may still read and move them), LeaseLost and CheckpointMoved
    when others took or moved the projection each time (nothing was written), and as Refold.advance.
    """
    if plan.shape is None:
        raise ConfigurationError(
            f"{plan.name} writes its own SQL, so single rows of it cannot be folded again. Rebuild "
            f"it: diptych projections rebuild {name_of(plan)}"
        )
    if plan.table.made_otherwise((await store.checkpoint(plan.name)).fingerprint):
        raise ConfigurationError(
            f"the rows of {name_of(plan)} were made by another version of it, so single ones of "
            f"this version are not put among them. Rebuild it: diptych projections rebuild "
            f"{name_of(plan)}"
        )
    chosen = sorted(set(keys))
    if dry_run:
        found = tuple(await judge(ground, plan, store, chosen))
        position = (await store.checkpoint(plan.name)).position
        return _repaired(name_of(plan), position, found, dry_run=True)
    position, found = await _Repair(ground, plan, store, chosen).run()
    wrong = await judge(ground, plan, store, chosen)
    return _repaired(name_of(plan), position, found, ok=not wrong)


class _Repair:
    """One repair: fold before, then write under the lease."""

    def __init__(self, ground: Ground, plan: Plan, store: ReadStore, keys: Sequence[str]) -> None:
        self._ground = ground
        self._plan = plan
        self._store = store
        self._keys = keys

    async def run(self) -> tuple[int, tuple[Difference, ...]]:
        """Mend; the checkpoint at which it was done, and what was different."""
        moved: CheckpointMoved | LeaseLost | None = None
        refold = await self._folded()
        for _ in range(_ATTEMPTS):
            try:
                async with self._held() as epoch:
                    await refold.advance(await self._checkpoint())
                    at, looked = refold.at, await look(refold, self._keys)
                    if refold.at == at and not refold.disturbed:
                        return at, await self._write(refold, looked, epoch)
            except (CheckpointMoved, LeaseLost) as error:
                moved = error
            if refold.disturbed or refold.at > await self._checkpoint():
                refold = await self._folded()
        raise moved or CheckpointMoved(
            f"{self._plan.name} moved, or what is parked of it, each of the {_ATTEMPTS} times its "
            "rows were to be repaired. Nothing was written; try again later.",
            projection=self._plan.name,
        )

    def _held(self) -> AbstractAsyncContextManager[int]:
        return held(self._store, self._plan.name, self._ground.environment, "rows are repaired")

    async def _checkpoint(self) -> int:
        return (await self._store.checkpoint(self._plan.name)).position

    async def _folded(self) -> Refold:
        refold = Refold(self._ground, self._plan, self._store, frozenset(self._keys).__contains__)
        await refold.advance(await self._checkpoint())
        return refold

    async def _write(self, refold: Refold, looked: Looked, epoch: int) -> tuple[Difference, ...]:
        found = tuple(as_difference(self._plan, doubt) for doubt in looked.doubts)
        written = [doubt.expected for doubt in looked.doubts if doubt.expected is not None]
        deleted = [doubt.key for doubt in looked.doubts if doubt.expected is None]
        if found:
            at = refold.at
            change = Change(self._plan.name, at, at, written, deleted, epoch=epoch)
            await self._store.apply([change])
        return found


def _repaired(
    projection: str,
    position: int,
    found: Sequence[Difference],
    *,
    dry_run: bool = False,
    ok: bool = True,
) -> Repaired:
    return Repaired(
        projection,
        position,
        tuple(one.key for one in found if one.expected is not None),
        tuple(one.key for one in found if one.expected is None),
        tuple(found),
        dry_run,
        ok,
    )
