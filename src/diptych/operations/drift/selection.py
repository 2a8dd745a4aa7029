"""Which rows are looked at: all, those of some keys, of a tenant, or a sample."""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import AsyncIterator, Sequence

import msgspec

from diptych.errors import ConfigurationError, ProjectionFailed
from diptych.operations.drift.comparing import PAGE
from diptych.operations.drift.portions import hash_of
from diptych.operations.drift.refold import Ground, Wanted
from diptych.queries.fold import keys_of
from diptych.queries.projection import Plan
from diptych.queries.read_store import Find, ReadStore
from diptych.sync.subscription import Subscription

__all__ = ["EVERYTHING", "Selection", "keys_of_tenant", "sampled"]

_BATCH = 5_000


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What of a projection is looked at; give at most one of `keys`, `sample` and `tenant`.

    `keys`: these, whether there are such rows or not. `sample`: this many of its rows, chosen by
    `seed`, which is made up if not given. `tenant`: the rows touched by events of a tenant.
    """

    keys: Sequence[str] | None = None
    sample: int | None = None
    seed: int | None = None
    tenant: str | None = None

    def check(self) -> None:
        """Raise ConfigurationError for what says two things at once."""
        given = (self.keys is not None, self.sample is not None, self.tenant is not None)
        if sum(given) > 1:
            raise ConfigurationError("give one of keys, sample and tenant.")

    @property
    def needs_keys(self) -> bool:
        """Whether it means nothing for a projection with own SQL."""
        return self.keys is not None or self.tenant is not None


EVERYTHING = Selection()


async def keys_of_tenant(ground: Ground, plan: Plan, tenant: str, upto: int) -> frozenset[str]:
    """The keys that events of a tenant touch, among those up to `upto`.

    Reads the log once; an event whose key cannot be told touches none. Memory: these keys.
    """
    found: set[str] = set()
    after = 0
    subscription = Subscription(ground.log, ground.registry, plan.steps)
    while after < upto:
        delivery = await subscription.deliver(after, _BATCH, upto)
        for envelope in delivery.envelopes:
            step = plan.steps.get(type(envelope.event))
            if step is not None and envelope.tenant == tenant:
                with contextlib.suppress(ProjectionFailed):
                    found.update(keys_of(plan, step, envelope))
        if delivery.broken is None and delivery.upto == after:
            break  # the refold says that the log ends here
        after = delivery.upto if delivery.broken is None else delivery.broken[0].position
        await ground.environment.sleep(0)
    return frozenset(found)


async def sampled(plan: Plan, store: ReadStore, size: int, seed: int) -> Wanted | None:
    """Chooses `size` of the rows that the store has, the same ones for the same seed and rows.

    None: all, because there are no more. What the store has lost may be chosen besides. Reads all
    rows once.
    """
    smallest: list[int] = []  # negated, so that the first is the largest of them
    rows = 0
    async for hashed in _hashes(plan, store, seed):
        rows += 1
        if len(smallest) < size:
            heapq.heappush(smallest, -hashed)
        else:
            heapq.heappushpop(smallest, -hashed)
    if rows <= size:
        return None
    highest = -smallest[0]
    return lambda key: hash_of(key, seed) <= highest


async def _hashes(plan: Plan, store: ReadStore, seed: int) -> AsyncIterator[int]:
    after: str | None = None
    while page := await store.find(plan.name, Find(limit=PAGE, after_key=after)):
        for row in page:
            yield hash_of(row.key, seed)
        after = page[-1].key
