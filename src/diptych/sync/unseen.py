"""What a projection has not seen yet, folded on the spot: rows as new as the log."""

from __future__ import annotations

from diptych.errors import StaleRead
from diptych.events.log import EventLog
from diptych.messages.envelope import Envelope
from diptych.messages.registry import Registry
from diptych.queries.fold import Batch
from diptych.queries.omitted import Omitted
from diptych.queries.projection import Plan
from diptych.queries.read_store import ReadStore, Row
from diptych.sync.subscription import Subscription

__all__ = ["unseen_rows"]

_PAGE = 5_000


async def unseen_rows(
    log: EventLog, registry: Registry, store: ReadStore, plan: Plan
) -> dict[str, Row | None]:
    """Rows as they will be once the projection has come to the present head; None: deleted.

    Costs one read of the events between the checkpoint and the head. Raises ProjectionFailed when
    one of them cannot be folded, StaleRead when one was parked meanwhile. A view is as new as its
    tables, or is refreshed here.
    """
    if plan.table.view is not None:
        await store.refresh(plan.name)
        return {}
    while True:
        rows = await _folded(log, registry, store, plan)
        if rows is not None:
            return rows


async def _folded(
    log: EventLog, registry: Registry, store: ReadStore, plan: Plan
) -> dict[str, Row | None] | None:
    """The rows; None: they were set back meanwhile, and have to be looked at anew."""
    subscription = Subscription(log, registry, plan.steps)
    stands = await store.checkpoint(plan.name)
    after = stands.position
    omitted = Omitted(await store.parked(plan.name)) if stands.parks else None
    head = await log.head()
    envelopes: list[Envelope] = []
    at = after
    while at < head:
        delivery = await subscription.deliver(at, _PAGE, head)
        envelopes += delivery.envelopes
        failure = delivery.failure(plan.name)
        if failure is not None:
            raise failure
        at = delivery.upto
    keys = Batch(plan, envelopes, after, head, omitted).keys
    loaded = await store.load(plan.name, keys)
    if loaded.checkpoint < after:
        return None  # rebuilt in place: they lack events that were not read
    # The runner may have moved on since: rows are folded from the checkpoint they were loaded with.
    later = [one for one in envelopes if one.position > loaded.checkpoint]
    change = Batch(plan, later, loaded.checkpoint, head, omitted).change(loaded.rows)
    if (await store.checkpoint(plan.name)).parks:
        await _refuse_newly_parked(store, plan, after)
    rows: dict[str, Row | None] = {row.key: row for row in change.rows}
    rows.update(dict.fromkeys(change.deleted))
    return rows


async def _refuse_newly_parked(store: ReadStore, plan: Plan, after: int) -> None:
    for one in await store.parked(plan.name):
        if one.because == "failed" and one.position > after:
            why = f"{one.key!r} was parked at position {one.position} meanwhile: {one.error}"
            raise StaleRead(
                f"{plan.name} cannot be folded up to the head: {why}",
                projection=plan.name,
                wanted=one.position,
                reached=one.position - 1,
                within_s=0.0,
                why=why,
            )
