"""Inline projections: folded inside the transaction of the append, so they are never behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diptych.errors import ProjectionFailed
from diptych.events.log import LogTransaction
from diptych.messages.registry import Registry
from diptych.queries.fold import Batch
from diptych.queries.omitted import Omitted
from diptych.queries.projection import Plan
from diptych.queries.read_store import InlineRows
from diptych.sync.parking import Parking
from diptych.sync.subscription import Delivery, EventDecoder

__all__ = ["InlineProjections"]

_PAGE = 1_000


class InlineProjections:
    """The participant (see events.log) that folds new events into rows before they are durable.

    It brings each projection to the head from wherever it stands, not only over the new events: so
    one that was asynchronous until now, or that another process does not run inline, is right. What
    such a process has parked is not overtaken: then the append fails.
    """

    def __init__(self, registry: Registry, store: Any, plans: Sequence[Plan]) -> None:
        self._store = store
        self._plans = [(plan, EventDecoder(registry, plan.steps)) for plan in plans]

    async def join(self, transaction: LogTransaction, head: int) -> None:
        """Bring every projection to `head`. Raises ProjectionFailed: the append must then fail."""
        rows: InlineRows = self._store.within(transaction.handle)
        for plan, decoder in self._plans:
            try:
                await _bring(plan, decoder, rows, transaction, head)
            except ProjectionFailed as error:
                raise ProjectionFailed(
                    f"the command was refused and nothing was written, because {error.message}",
                    **error.facts,
                ) from error


async def _bring(
    plan: Plan, decoder: EventDecoder, rows: InlineRows, transaction: LogTransaction, head: int
) -> None:
    stands = await rows.checkpoint(plan.name)
    after, parking = stands.position, None
    if stands.parks and after < head:
        parking = Parking(plan)
        parking.learn(await rows.parked(plan.name))
    while after < head:
        delivery = decoder.decode(await transaction.read(after, _PAGE), after)
        upto = _passed(plan, delivery, parking)
        omitted = None if parking is None else _omitted(plan, parking, delivery)
        batch = Batch(plan, delivery.envelopes, after, upto, omitted)
        before = (await rows.load(plan.name, batch.keys)).rows if plan.shape else {}
        await rows.apply([batch.change(before)])
        after = upto


def _passed(plan: Plan, delivery: Delivery, parking: Parking | None) -> int:
    """How far a delivery goes. Raises ProjectionFailed where it ends at what cannot be read."""
    if delivery.broken is None:
        return delivery.upto
    stored, _ = delivery.broken
    if parking is None or not parking.skips_all(stored):
        failure = delivery.failure(plan.name)
        assert failure is not None  # noqa: S101  it is broken
        raise failure
    return stored.position


def _omitted(plan: Plan, parking: Parking, delivery: Delivery) -> Omitted | None:
    """What was skipped by hand. Raises ProjectionFailed for what follows something parked: another
    process has moved this projection, and parked it, and what follows must not be folded before.
    """
    for one in parking.followers(delivery.envelopes, 0):
        raise ProjectionFailed(
            f"{one.key!r} is parked, and an inline projection parks nothing: every process must "
            f"list the same inline=[...]. Retry what is parked (diptych parked retry {plan.name}).",
            projection=plan.name,
            position=one.position,
            event_type=one.type,
            stream=one.stream,
        )
    return parking.omitted(delivery.after)
