"""Inline projections: folded inside the transaction of the append, so they are never behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diptych.errors import ProjectionFailed
from diptych.events.log import LogTransaction
from diptych.messages.registry import Registry
from diptych.queries.fold import Batch
from diptych.queries.projection import Plan
from diptych.queries.read_store import InlineRows
from diptych.sync.subscription import EventDecoder

__all__ = ["InlineProjections"]

_PAGE = 1_000


class InlineProjections:
    """The participant (see events.log) that folds new events into rows before they are durable.

    It brings each projection to the head from wherever it stands, not only over the new events: so
    one that was asynchronous until now, or that another process does not run inline, is right.
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
    after = (await rows.checkpoint(plan.name)).position
    while after < head:
        delivery = decoder.decode(await transaction.read(after, _PAGE), after)
        failure = delivery.failure(plan.name)
        if failure is not None:
            raise failure
        batch = Batch(plan, delivery.envelopes, after, delivery.upto)
        before = (await rows.load(plan.name, batch.keys)).rows if plan.shape else {}
        await rows.apply([batch.change(before)])
        after = delivery.upto
