"""Words in which the tests of standings are written, besides those of a read store."""

from __future__ import annotations

from collections.abc import Sequence

from diptych.queries.parked import Parked
from diptych.queries.read_store import CheckpointInfo, Loaded, ReadStore, Role, TableSpec
from diptych.queries.standings import Lease, LeaseSwap, generation_name
from diptych.testing.contract.read_store.words import ARTICLES, Article, change, own, parked

__all__ = ["NOTHING", "furnish", "furniture", "lease_of", "numbered", "park", "roles_of", "swap"]


NOTHING: tuple[object, ...] = (CheckpointInfo(0, ""), Loaded(0, {}), [])
"""The furniture of a generation that has none."""


def numbered(number: int, table: TableSpec = ARTICLES) -> TableSpec:
    """Another generation of the same rows."""
    name = generation_name(table.name, number)
    return TableSpec(name, f"{table.name}-made-{number}", table.shape)


async def lease_of(store: ReadStore, projection: str = "articles") -> Lease:
    """Who may move a projection."""
    return (await store.checkpoint(projection)).lease


async def swap(store: ReadStore, before: Lease, after: Lease, projection: str = "articles") -> bool:
    """Try to replace one lease."""
    (swapped,) = await store.swap_leases([LeaseSwap(projection, before, after)])
    return swapped


async def park(
    store: ReadStore,
    *entries: Parked,
    unparked: Sequence[Parked] = (),
    projection: str = "articles",
) -> None:
    """Park and unpark where the projection stands."""
    at = (await store.checkpoint(projection)).position
    done = change(at, at, projection=projection)
    await store.apply([done._replace(parked=entries, unparked=unparked)])


async def roles_of(store: ReadStore, projection: str = "articles") -> dict[str, Role]:
    """The roles of a projection's generations, by name."""
    return {one.name: one.role for one in await store.generations(projection)}


async def furnish(store: ReadStore, name: str, at: int) -> None:
    """Give a generation a row, a checkpoint, a lease and something parked, all told by `at`."""
    await own(store, at, f"owner of {name}", name)
    entry = parked(f"k-{at}", at)
    row = change(0, at, Article(f"a-{at}", stock=at), projection=name)
    await store.apply([row._replace(parked=[entry])])


async def furniture(store: ReadStore, name: str, at: int) -> tuple[object, ...]:
    """All that `furnish` has left, to be compared before and after; not the role, which it has not
    given.
    """
    return (
        (await store.checkpoint(name))._replace(role="served"),
        await store.load(name, [f"a-{at}"]),
        await store.parked(name),
    )
