"""Several sets of rows of one projection: one that queries read, others being built or kept.

A generation has tables, a checkpoint, a lease and parked events of its own, under a name of its own
(`cart_pages`, then `cart_pages__1`), so everything that knows projections knows generations. Which
one is read is a role in the store, switched in one transaction for every process.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from diptych.queries.projection import Plan
from diptych.queries.read_store import ReadStore
from diptych.queries.standings import Generation, generation_name, generation_of

__all__ = [
    "being_built",
    "chosen",
    "is_dropped",
    "leader_of",
    "moved_here",
    "next_generation",
    "of_generation",
]


def of_generation(plan: Plan, name: str) -> Plan:
    """The plan of a projection, for the rows of one of its generations."""
    if name == plan.name:
        return plan
    return plan._replace(name=name, table=msgspec.structs.replace(plan.table, name=name))


def chosen(plan: Plan, generations: Sequence[Generation]) -> str:
    """The generation that this code reads.

    It is the one that is served; but code that has made the one kept beside it goes on with that:
    it is the older release, which cannot know the newer one's rows.
    """
    served = next((one for one in generations if one.role == "served"), None)
    if served is None:
        return plan.name
    if served.fingerprint != plan.table.fingerprint:
        for one in generations:
            if one.role == "kept" and one.fingerprint == plan.table.fingerprint:
                return one.name
    return served.name


def is_dropped(name: str, generations: Sequence[Generation]) -> bool:
    """Whether a generation is gone, and another one is served."""
    there = any(one.name == name for one in generations)
    return not there and any(one.role == "served" for one in generations)


def moved_here(plan: Plan, generations: Sequence[Generation]) -> list[str]:
    """The generations that a runner with this code moves: what is read, and what is kept."""
    read = chosen(plan, generations)
    kept = [
        one.name
        for one in generations
        if one.role == "kept"
        and one.name != read
        and not plan.table.made_otherwise(one.fingerprint)
        and not plan.table.coded_otherwise(one.fingerprint)
    ]
    return [read, *kept]


def newest_number(plan: Plan, generations: Sequence[Generation]) -> int:
    """The highest number of the generations there are; 0 where there is only the first."""
    return max((generation_of(plan.name, one.name) or 0 for one in generations), default=0)


def being_built(plan: Plan, generations: Sequence[Generation]) -> Generation | None:
    """The generation that may be switched to: newer than what is read, and by preference made by
    this code. What was read before, and is to be dropped, is none.
    """
    served = next((one.name for one in generations if one.role == "served"), plan.name)
    read = generation_of(plan.name, served) or 0
    found = [
        one
        for one in generations
        if one.role == "building" and (generation_of(plan.name, one.name) or 0) > read
    ]
    found.sort(key=lambda one: one.fingerprint == plan.table.fingerprint)
    return found[-1] if found else None


def leader_of(plan: Plan, generations: Sequence[Generation]) -> str | None:
    """The generation that this one must not overtake: the one that is read instead of it.

    A process that has not noticed the switch yet reads this one, and the other one next: rows that
    are read later must not be older. Only code that moves the other one, too, can wait for it.
    """
    for one in generations:
        if one.role == "served" and one.name != plan.name:
            return one.name if one.fingerprint == plan.table.fingerprint else None
    return None


async def next_generation(store: ReadStore, plan: Plan) -> str:
    """The generation being built by this code, if there is one; a new one otherwise."""
    generations = await store.generations(plan.name)
    begun = being_built(plan, generations)
    if begun is not None and begun.fingerprint in ("", plan.table.fingerprint):
        return begun.name
    return generation_name(plan.name, newest_number(plan, generations) + 1)
