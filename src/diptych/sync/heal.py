"""What was parked because its type or shape was not known yet, and is known to this code.

In a rolling upgrade the old release meets events of the new one and parks them. The first runner
of the new release that takes the projection over retries them by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from diptych.errors import UnknownMessageType, UpcastFailed
from diptych.queries.parked import Lane, Parked
from diptych.queries.projection import Plan
from diptych.queries.read_store import ReadStore
from diptych.sync.hinge import Hinge
from diptych.sync.lease import held
from diptych.sync.retry import Retried, Retry, waiting_of
from diptych.sync.waiting_fold import read_waiting

__all__ = ["heal"]

_NOT_KNOWN_YET = tuple(f"{error.__name__}: " for error in (UnknownMessageType, UpcastFailed))


async def heal(
    hinge: Hinge, store: ReadStore, plan: Plan, epoch: int | None, entries: Sequence[Parked]
) -> list[Retried]:
    """Retry the lanes whose first event this code can read now; what became of them.

    `entries` is what is parked, `epoch` that of the lease that the caller holds; None: it is taken
    here, because another process may be opened at the same time, and heal the same. A lane whose
    first event still cannot be read is left as it is, so this may be called again at any time.
    Raises as Retry.run.
    """
    waiting = waiting_of(entries)
    strange = [first for first, *_ in waiting.values() if first.error.startswith(_NOT_KNOWN_YET)]
    if not strange:
        return []
    found = await read_waiting(hinge.log, hinge.registry, plan, strange)
    lanes: list[Lane] = [one.entry.lane for one in found if one.error is None]
    if not lanes:
        return []
    if epoch is None:
        async with held(
            store, plan.name, hinge.environment, "what it can read now is retried"
        ) as own:
            return await _retried(hinge, store, plan, own, lanes)
    return await _retried(hinge, store, plan, epoch, lanes)


async def _retried(
    hinge: Hinge, store: ReadStore, plan: Plan, epoch: int, lanes: Sequence[Lane]
) -> list[Retried]:
    retry = Retry(hinge.log, hinge.registry, store, plan, epoch=epoch)
    await retry.run(lanes)
    return list(retry.done.values())
