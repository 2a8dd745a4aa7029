"""What an application offers to find and mend drift."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from diptych.errors import ConfigurationError
from diptych.operations.drift.patrol import Patrol, PatrolFound, PatrolPace
from diptych.operations.drift.refold import Ground
from diptych.operations.drift.repair import Repaired, repair
from diptych.operations.drift.results import Verification, name_of
from diptych.operations.drift.selection import Selection, keys_of_tenant
from diptych.operations.drift.verifying import MOST_ROWS, Kept, Progress, verify

__all__ = ["Drift"]


class Drift:
    """Verification, repair and patrol of the projections that `kept` gives when asked.

    A projection is named as people call it, or as the generation of its rows (`generation_name`).
    Views are not among them: what the database computes has nothing to drift from.
    """

    def __init__(self, ground: Ground, kept: Callable[[], Sequence[Kept]]) -> None:
        self._ground = ground
        self._kept = kept

    async def verify(
        self,
        projections: Sequence[str] = (),
        progress: Progress | None = None,
        *,
        most_rows: int = MOST_ROWS,
        **selected: Any,
    ) -> Verification:
        """Fold the log again and compare rows with it, while commands and projections go on.

        Of the named projections, or of all; of these the rows that `selected` says: `keys=`,
        `sample=` (with `seed=`), `tenant=` (see Selection), or all. Each row is compared at a
        moment of which row and checkpoint are known exactly, so one that is behind is not wrong,
        and one that moves is not in doubt. What is parked or skipped is left out, as it was left
        out of the row. `progress` is called with the events folded so far and in all.

        Raises ProjectionFailed when an event cannot be folded, CheckpointMoved when a projection
        went back meanwhile (it was reset, rebuilt or restored), LogRestored when it has seen more
        than the log holds, ConfigurationError for keys of a projection that has none.
        """
        selection = Selection(**selected)
        return await verify(self._ground, self._named(projections), selection, progress, most_rows)

    async def repair(
        self,
        projection: str,
        keys: Sequence[str] = (),
        *,
        tenant: str | None = None,
        dry_run: bool = False,
    ) -> Repaired:
        """Make the rows of these keys (or those of a tenant) what the log says; nothing else.

        With `dry_run` nothing is written. For what a verification found, give the keys of its
        differences. Raises as repair.
        """
        [(plan, store)] = self._named([projection])
        if tenant is not None:
            checkpoint = (await store.checkpoint(plan.name)).position
            keys = [*keys, *await keys_of_tenant(self._ground, plan, tenant, checkpoint)]
        return await repair(self._ground, plan, store, keys, dry_run=dry_run)

    def patrol(self, report: Callable[[PatrolFound], None] | None = None, **pace: Any) -> Patrol:
        """Compare everything for ever, slowly: `async with drift.patrol() as patrol: ...`.

        `pace` is as PatrolPace has it (`events_per_s=`, `rows_per_s=`, ...). `report` is called
        after each portion; `patrol.status` says how it stands. A round begins from where the last
        one ended where memory allows, so that only new events are folded.
        """
        return Patrol(self._ground, self._kept, PatrolPace(**pace), report)

    def _named(self, projections: Sequence[str]) -> list[Kept]:
        kept = list(self._kept())
        if not projections:
            return kept
        known = {name: one for one in kept for name in (one[0].name, name_of(one[0]))}
        unknown = [name for name in projections if name not in known]
        if unknown:
            names = ", ".join(name_of(plan) for plan, _ in kept) or "none"
            raise ConfigurationError(
                f"there is no projection {unknown[0]!r} whose rows are kept; there are {names}."
            )
        return [known[name] for name in projections]
