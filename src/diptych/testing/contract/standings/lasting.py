"""What stays after a reset (G6), and after close and open (G7)."""

# ruff: noqa: D102  the name of a test is its sentence

from __future__ import annotations

from diptych.errors import LeaseLost
from diptych.queries.read_store import CheckpointInfo, Lease, Loaded, ReadStore, TableSpec
from diptych.testing.contract.read_store.opening import StoreContract
from diptych.testing.contract.read_store.words import ARTICLES, NOTES, Article, change, own, parked
from diptych.testing.contract.standings.words import (
    NOTHING,
    furnish,
    furniture,
    numbered,
    park,
    roles_of,
)
from diptych.testing.contract.suite import refusal

__all__ = ["Lasting"]

SKIPPED = parked("s", 2, because="skipped", reason="a duplicate", actor="ann")
OF_STREAM = parked("t", 3, because="skipped", by_stream=True, reason="unreadable", actor="ann")


class Lasting(StoreContract):
    """Tests of G6 (a reset) and G7 (close and open)."""

    async def test_g6_a_reset_forgets_what_is_parked_and_keeps_what_was_skipped(
        self, store: ReadStore
    ) -> None:
        await park(store, parked("a", 1), SKIPPED, OF_STREAM, parked("a", 4, because="follows"))
        await park(store, parked("n", 1), projection="notes")
        await store.reset(ARTICLES)
        assert await store.parked("articles") == [SKIPPED, OF_STREAM]
        assert await store.parked("articles", ["s", "a"]) == [SKIPPED]
        assert await store.checkpoint("articles") == CheckpointInfo(0, "", Lease(), parks=True)
        assert await store.parked("notes") == [parked("n", 1)], "another projection was reset"
        await park(store, unparked=[SKIPPED, OF_STREAM])
        await store.reset(ARTICLES)
        assert await store.checkpoint("articles") == CheckpointInfo(0, "")

    async def test_g6_skipping_counts_as_it_was_said_last(self, store: ReadStore) -> None:
        await park(store, parked("a", 1), SKIPPED)
        await park(store, parked("a", 1, because="skipped"), parked(SKIPPED.key, SKIPPED.position))
        await store.reset(ARTICLES)
        assert await store.parked("articles") == [parked("a", 1, because="skipped")]

    async def test_g6_a_lease_stays_held_over_a_reset(self, store: ReadStore) -> None:
        await own(store, 4, "me")
        await store.apply([change(0, 9, Article("a"))._replace(epoch=4)])
        await store.reset(TableSpec("articles", "articles-2", ARTICLES.shape))
        assert await store.checkpoint("articles") == CheckpointInfo(0, "", Lease(4, "me"))
        late = change(0, 1, Article("b"))._replace(epoch=3)
        await refusal(LeaseLost, store.apply([late]), "the lease is still at epoch 4")
        await store.apply([change(0, 1, Article("c"))._replace(epoch=4)])
        loaded = await store.load("articles", ["a", "b", "c"])
        assert (loaded.checkpoint, set(loaded.rows)) == (1, {"c"})

    async def test_g6_a_reset_leaves_roles_and_other_generations(self, store: ReadStore) -> None:
        await store.open([numbered(1), numbered(2)])
        await furnish(store, "articles", 3)
        await furnish(store, "articles__1", 5)
        before = await furniture(store, "articles", 3)
        await store.reset(numbered(1))
        assert await furniture(store, "articles", 3) == before
        info, rows, entries = await furniture(store, "articles__1", 5)
        assert info == CheckpointInfo(0, "", Lease(5, "owner of articles__1"))
        assert (rows, entries) == (Loaded(0, {}), [])
        building = {"articles__1": "building", "articles__2": "building"}
        assert await roles_of(store) == {"articles": "served", **building}

    async def test_g7_standings_survive_close_and_open_but_in_a_volatile_store(
        self, store: ReadStore
    ) -> None:
        await store.open([numbered(1)])
        await furnish(store, "articles", 3)
        await furnish(store, "articles__1", 5)
        await park(store, SKIPPED, OF_STREAM)
        assert await store.switch(
            {"articles": "served", "articles__1": "building"},
            {"articles": "kept", "articles__1": "served"},
        )
        before = await self._everything(store)
        await store.close()
        async with self.another(store) as other:
            if other is not None:
                assert await other.generations("articles") == before[-1]
                await other.open([numbered(1)])
                assert await self._everything(other) == before
                late = change(3, 4, Article("b"))._replace(epoch=2)
                await refusal(LeaseLost, other.apply([late]), "the lease is at epoch 3")
                return
        await store.open([ARTICLES, NOTES])
        assert await furniture(store, "articles", 3) == NOTHING, "a volatile store forgets"
        assert await roles_of(store) == {"articles": "served"}

    async def _everything(self, store: ReadStore) -> list[object]:
        return [
            await furniture(store, "articles", 3),
            await furniture(store, "articles__1", 5),
            await store.generations("articles"),
        ]

    async def test_g7_opening_again_changes_nothing(self, store: ReadStore) -> None:
        await store.open([numbered(1)])
        await furnish(store, "articles", 3)
        await furnish(store, "articles__1", 5)
        before = await self._everything(store)
        await store.open([ARTICLES, NOTES, numbered(1)])
        await store.open([TableSpec("articles", "articles-2", ARTICLES.shape)])
        await store.open([])
        assert await self._everything(store) == before
