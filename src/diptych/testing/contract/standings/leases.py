"""A lease is replaced by whoever knows it exactly (G1), and then its owner writes no more (G2)."""

# ruff: noqa: D102  the name of a test is its sentence

from __future__ import annotations

import asyncio

from diptych.errors import ConfigurationError, LeaseLost
from diptych.queries.parked import Parked
from diptych.queries.read_store import Change, CheckpointInfo, Lease, LeaseSwap, ReadStore
from diptych.testing.contract.read_store.opening import StoreContract
from diptych.testing.contract.read_store.words import (
    ARTICLES,
    Article,
    change,
    keep,
    own,
    parked,
)
from diptych.testing.contract.standings.words import furnish, furniture, lease_of, park, swap
from diptych.testing.contract.suite import outcomes, refusal

__all__ = ["Leases"]

TERMS = [
    "",
    " ",
    '{"until": 1767225600.5, "owner": "host-1:4711"}',
    'O\'Hara "quoted" \\ %s ? $1 :x',
    "Größe 😀",
    "two\nlines\t",
    "x" * 5_000,
]


class Leases(StoreContract):
    """Tests of G1 (compare and swap) and G2 (a fence)."""

    async def test_g1_a_projection_nobody_owned_has_the_empty_lease(self, store: ReadStore) -> None:
        assert await lease_of(store) == Lease(0, "")
        await keep(store, Article("a"))
        assert await lease_of(store) == Lease(0, "")
        assert await swap(store, Lease(), Lease()), "no change, and expected exactly"

    async def test_g1_a_swap_needs_exactly_the_lease_it_expects(self, store: ReadStore) -> None:
        assert await swap(store, Lease(0, ""), Lease(7, "me"))
        for wrong in (Lease(0, ""), Lease(6, "me"), Lease(8, "me"), Lease(7, ""), Lease(7, "Me")):
            assert not await swap(store, wrong, Lease(9, "thief")), f"{wrong} is not the lease"
            assert await lease_of(store) == Lease(7, "me")
        assert await swap(store, Lease(7, "me"), Lease(7, "me, for longer"))
        assert not await swap(store, Lease(7, "me"), Lease(9, "thief")), "these were the terms"
        assert await swap(store, Lease(7, "me, for longer"), Lease(8, "you"))
        assert await lease_of(store) == Lease(8, "you")

    async def test_g1_terms_are_any_text(self, store: ReadStore) -> None:
        before = Lease()
        for number, terms in enumerate(TERMS):
            after = Lease(2**40 + number, terms)
            assert await swap(store, before, after)
            assert await lease_of(store) == after
            before = after

    async def test_g1_each_swap_stands_for_itself(self, store: ReadStore) -> None:
        assert await store.swap_leases([]) == []
        right = LeaseSwap("articles", Lease(), Lease(1, "me"))
        wrong = LeaseSwap("notes", Lease(3, "who"), Lease(4, "me"))
        assert await store.swap_leases([wrong, right]) == [False, True]
        found = await store.checkpoints(["notes", "articles"])
        assert found == {
            "articles": CheckpointInfo(0, "", Lease(1, "me")),
            "notes": CheckpointInfo(0, "", Lease()),
        }

    async def test_g1_several_are_read_as_one_by_one(self, store: ReadStore) -> None:
        assert await store.checkpoints([]) == {}
        await furnish(store, "articles", 3)
        await keep(store, projection="notes")
        names = ["notes", "articles"]
        one_by_one = {name: await store.checkpoint(name) for name in names}
        assert await store.checkpoints(names) == one_by_one
        assert one_by_one["articles"].parks
        assert not one_by_one["notes"].parks

    async def test_g1_a_swap_changes_nothing_else(self, store: ReadStore) -> None:
        await furnish(store, "articles", 3)
        before, rows, entries = await furniture(store, "articles", 3)
        generations = await store.generations("articles")
        assert await swap(store, await lease_of(store), Lease(9, "next"))
        assert isinstance(before, CheckpointInfo)
        after = before._replace(lease=Lease(9, "next"))
        assert await furniture(store, "articles", 3) == (after, rows, entries)
        assert await store.generations("articles") == generations
        assert await lease_of(store, "notes") == Lease(), "the lease of another projection"

    async def test_g1_a_change_leaves_the_lease_as_it_is(self, store: ReadStore) -> None:
        await own(store, 4, "me")
        await store.apply([change(0, 1, Article("a"))._replace(epoch=4, parked=[parked("b", 1)])])
        await keep(store, Article("b"))
        assert await lease_of(store) == Lease(4, "me")

    async def test_g1_unknown_projections_are_refused(self, store: ReadStore) -> None:
        because = "the store was not opened for it"
        await refusal(ConfigurationError, swap(store, Lease(), Lease(1), "unknown"), because)
        await refusal(ConfigurationError, store.checkpoints(["articles", "unknown"]), because)
        await refusal(ConfigurationError, store.parked("unknown"), because)

    async def test_g1_one_of_many_who_swap_at_once_succeeds(self, store: ReadStore) -> None:
        async with self.another(store) as other:
            stores = [store] if other is None else [store, other]
            before = Lease()
            for epoch in range(1, 6):
                attempts = [
                    swap(stores[number % len(stores)], before, Lease(epoch, f"owner {number}"))
                    for number in range(12)
                ]
                results = await outcomes(attempts)
                assert sorted(map(str, results)) == ["False"] * 11 + ["True"], (
                    f"one of 12 had to succeed: {results}"
                )
                before = Lease(epoch, f"owner {results.index(True)}")
                for one in stores:
                    assert await lease_of(one) == before, "the lease is not the winner's"

    async def test_g2_after_a_swap_nothing_of_an_older_epoch_is_written(
        self, store: ReadStore
    ) -> None:
        await own(store, 1)
        await store.apply([change(0, 1, Article("a"))._replace(epoch=1)])
        await park(store, parked("p", 1))
        async with self.another(store) as other:
            await own(other or store, 2)
            for late in (
                change(1, 2, Article("a", stock=9))._replace(epoch=1),
                Change("articles", 1, 2, epoch=1),
                Change("articles", 1, 1, epoch=1, parked=[parked("q", 1)]),
                Change("articles", 1, 1, epoch=1, unparked=[parked("p", 1)]),
            ):
                await refusal(LeaseLost, store.apply([late]), "the swap has returned")
            assert await store.load("articles", ["a"]) == await (other or store).load(
                "articles", ["a"]
            )
            assert await store.parked("articles") == [parked("p", 1)]
            await store.apply([Change("articles", 1, 2, epoch=2)])

    async def test_g2_nothing_of_an_older_epoch_is_reset_or_dropped(self, store: ReadStore) -> None:
        await own(store, 1)
        await furnish(store, "articles", 3)
        before = await furniture(store, "articles", 3)
        async with self.another(store) as other:
            await own(other or store, 2)
            await refusal(LeaseLost, store.reset(ARTICLES, 1), "the swap has returned")
            await refusal(LeaseLost, store.drop(ARTICLES, 1), "the swap has returned")
        lease = await lease_of(store)
        info, rows, entries = before
        assert isinstance(info, CheckpointInfo)
        assert await furniture(store, "articles", 3) == (info._replace(lease=lease), rows, entries)
        await store.reset(ARTICLES, 2)
        assert (await store.checkpoint("articles")).position == 0
        await store.drop(ARTICLES, 2)
        assert await store.generations("articles") == []

    async def test_g2_nothing_is_done_under_a_lease_that_is_gone(self, store: ReadStore) -> None:
        await own(store, 1)
        async with self.another(store) as other:
            if other is not None:
                await other.drop(ARTICLES, 1)
                late = change(0, 1, Article("a"))._replace(epoch=1)
                await refusal(LeaseLost, store.apply([late]), "it was dropped")
                await refusal(LeaseLost, store.reset(ARTICLES, 1), "it was dropped")
                assert await store.generations("articles") == []

    async def test_g2_new_terms_stop_nobody(self, store: ReadStore) -> None:
        await own(store, 1, "until noon")
        assert await swap(store, Lease(1, "until noon"), Lease(1, "until one"))
        await store.apply([change(0, 1, Article("a"))._replace(epoch=1)])
        assert (await store.checkpoint("articles")).position == 1

    async def test_g2_owners_in_a_hurry_park_nothing_after_their_time(
        self, store: ReadStore
    ) -> None:
        # Without a move of the checkpoint nothing but the lease keeps them apart.
        found: dict[int, set[Parked]] = {}
        async with self.another(store) as other:
            stores = [store, store] if other is None else [store, other]
            owners = [_own_and_park(stores[number % 2], number, found) for number in range(6)]
            await self.soon(asyncio.gather(*owners), "all owners having parked")
        assert len(found) > 1, f"only {len(found)} took the lease"
        entries = await store.parked("articles")
        for epoch, before in found.items():
            older = _older(entries, epoch)
            assert older == before, f"epoch {epoch} had begun, and {older - before} came after it"


async def _own_and_park(store: ReadStore, owner: int, found: dict[int, set[Parked]]) -> None:
    """Take the lease, say what is there, and park until the lease is lost; some times over."""
    for turn in range(8):
        for _ in range((owner * 7 + turn * 3) % 5):  # or the same one would always come first
            await asyncio.sleep(0)
        before = await lease_of(store)
        mine = Lease(before.epoch + 1, f"owner {owner}")
        if not await swap(store, before, mine):
            continue
        found[mine.epoch] = _older(await store.parked("articles"), mine.epoch)
        for number in range(4):
            entry = parked(str(mine.epoch), 1 + owner * 1_000 + turn * 10 + number)
            try:
                await store.apply([Change("articles", 0, 0, epoch=mine.epoch, parked=[entry])])
            except LeaseLost:
                break
            await asyncio.sleep(0)


def _older(entries: list[Parked], epoch: int) -> set[Parked]:
    """What was parked under the leases before."""
    return {one for one in entries if int(one.key) < epoch}
