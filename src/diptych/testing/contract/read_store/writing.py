"""What `apply` writes, all of it or nothing (G1), behind a fence (G2), and for how long (G8)."""

# ruff: noqa: D102  the name of a test is its sentence

from __future__ import annotations

import asyncio

from diptych.errors import CheckpointMoved
from diptych.queries.read_store import Change, CheckpointInfo, Loaded, ReadStore, Row
from diptych.testing.contract.read_store.opening import StoreContract
from diptych.testing.contract.read_store.words import (
    ARTICLES,
    NOTES,
    Article,
    Note,
    change,
    everything_of,
    fetch,
    keep,
)
from diptych.testing.contract.suite import losers, outcomes, refusal

__all__ = ["Writing"]


class Writing(StoreContract):
    """Tests of G1 (all or nothing), G2 (the fence), G3 (one moment) and G8 (durable)."""

    async def test_g1_a_change_keeps_all_its_parts(self, store: ReadStore) -> None:
        await store.apply([change(0, 3, Article("a"), Article("b"), Article("c"))])
        await store.apply([change(3, 5, Article("b", stock=1), Article("d"), deleted=["a", "x"])])
        loaded = await store.load("articles", ["a", "b", "c", "d"])
        assert loaded == Loaded(
            5,
            {
                "b": Row("b", 5, Article("b", stock=1)),
                "c": Row("c", 3, Article("c")),
                "d": Row("d", 5, Article("d")),
            },
        )
        assert await store.checkpoint("articles") == CheckpointInfo(5, "articles-1")

    async def test_g1_several_projections_change_together(self, store: ReadStore) -> None:
        await store.apply([change(0, 2, Article("a")), change(0, 3, Note("n"), projection="notes")])
        assert (await store.checkpoint("articles")).position == 2
        assert (await store.checkpoint("notes")).position == 3
        assert await fetch(store, "a") == Article("a")
        assert await fetch(store, "n", "notes") == Note("n")

    async def test_g1_one_stale_change_keeps_all_from_being_written(self, store: ReadStore) -> None:
        await store.apply([change(0, 2, Article("a")), change(0, 2, Note("n"), projection="notes")])
        before = await everything_of(store, ["a", "b"]), await everything_of(store, ["n"], "notes")
        good = change(2, 3, Article("b"), deleted=["a"])
        stale = change(1, 3, Note("n", 7), projection="notes")
        for both in ([good, stale], [stale, good]):
            await refusal(CheckpointMoved, store.apply(both), "notes stands at 2")
            after = (
                await everything_of(store, ["a", "b"]),
                await everything_of(store, ["n"], "notes"),
            )
            assert after == before, "a failed apply left a trace"

    async def test_g1_many_rows_are_one_change(self, store: ReadStore) -> None:
        many = [Article(f"a-{number}", stock=number) for number in range(3_000)]
        keys = [article.sku for article in many]
        await refusal(CheckpointMoved, store.apply([change(1, 2, *many)]), "it stands at 0")
        assert await store.load("articles", keys) == Loaded(0, {})
        await store.apply([change(0, 1, *many)])
        loaded = await store.load("articles", keys)
        assert [loaded.rows[key].value for key in keys] == many
        await store.apply([change(1, 2, deleted=keys[1:])])
        assert list((await store.load("articles", keys)).rows) == keys[:1]

    async def test_g1_a_cancelled_apply_happened_or_did_not(self, store: ReadStore) -> None:
        for turns in range(6):
            at = (await store.checkpoint("articles")).position
            models = [Article(key, stock=at + 1) for key in "abc"]
            task = asyncio.ensure_future(store.apply([change(at, at + 1, *models)]))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await outcomes([task])
            # Writes are taken in turn, so an answer to this one says that the first is decided.
            await self.soon(keep(store, Note("after"), projection="notes"), "apply after a cancel")
            loaded = await store.load("articles", ["a", "b", "c"])
            assert loaded.checkpoint in (at, at + 1)
            stocks = {row.value.stock for row in loaded.rows.values()}
            assert stocks in ({loaded.checkpoint}, set()), "half of an apply was kept"

    async def test_g2_a_change_fits_only_its_checkpoint(self, store: ReadStore) -> None:
        await store.apply([change(0, 5, Article("a"))])
        before = await everything_of(store, ["a", "b"])
        for after in (0, 4, 6, 100):
            moved = await refusal(
                CheckpointMoved,
                store.apply([change(after, 101, Article("a", stock=1), Article("b"))]),
                f"articles stands at 5, not at {after}",
            )
            facts = (moved.projection, moved.expected, moved.actual)
            assert facts == ("articles", after, 5), f"the facts of the error are wrong: {facts}"
            assert await everything_of(store, ["a", "b"]) == before, "a refused change was written"
        await store.apply([change(5, 6, Article("b"))])
        await refusal(CheckpointMoved, store.apply([change(0, 1, projection="notes")] * 2), "twice")

    async def test_g2_a_change_without_rows_moves_the_checkpoint(self, store: ReadStore) -> None:
        await store.apply([Change("articles", 0, 7)])
        assert await store.checkpoint("articles") == CheckpointInfo(7, "articles-1")
        await refusal(CheckpointMoved, store.apply([Change("articles", 0, 8)]), "it stands at 7")

    async def test_g2_one_of_many_runners_wins(self, store: ReadStore) -> None:
        async with self.another(store) as other:
            stores = [store] if other is None else [store, other]
            for at in range(5):
                attempts = [
                    stores[number % len(stores)].apply(
                        [change(at, at + 1, Article("a", stock=number), Article(f"a-{number}"))]
                    )
                    for number in range(12)
                ]
                results = await outcomes(attempts)
                lost = losers(results, CheckpointMoved)
                assert len(lost) == 11, f"{12 - len(lost)} of 12 runners passed the fence"
                winner = results.index(None)
                for one in stores:
                    assert (await fetch(one, "a")).stock == winner, "a loser has written"
                    assert (await one.checkpoint("articles")).position == at + 1

    async def test_g3_rows_and_checkpoint_are_of_one_moment(self, store: ReadStore) -> None:
        keys = ["a", "b", "c"]

        async def write() -> None:
            for at in range(40):
                await store.apply(
                    [change(at, at + 1, *(Article(key, stock=at + 1) for key in keys))]
                )
                await asyncio.sleep(0)

        async def read(reader: ReadStore) -> None:
            previous = 0
            while previous < 40:
                checkpoint, rows = await reader.load("articles", keys)
                stocks = [row.value.stock for row in rows.values()]
                assert stocks == [checkpoint] * (3 if checkpoint else 0), (
                    f"load answered checkpoint {checkpoint} with rows of {stocks}"
                )
                assert checkpoint >= previous, "the checkpoint went back"
                previous = checkpoint
                await asyncio.sleep(0)

        async with self.another(store) as other:
            readers = [store, store] if other is None else [store, other]
            work = [asyncio.create_task(one) for one in (write(), *map(read, readers))]
            try:
                await self.soon(asyncio.gather(*work), "readers seeing what is written")
            finally:
                for task in work:
                    task.cancel()
                await outcomes(work)

    async def test_g3_load_answers_what_exists(self, store: ReadStore) -> None:
        await keep(store, Article("a"), Article("b"))
        assert await store.load("articles", []) == Loaded(1, {})
        assert await store.load("articles", ["x"]) == Loaded(1, {})
        assert list((await store.load("articles", ["b", "x", "b"])).rows) == ["b"]
        # More keys than a statement of most databases may have parameters.
        many = [f"x-{number}" for number in range(70_000)] + ["a"]
        assert list((await store.load("articles", many)).rows) == ["a"]

    async def test_g8_another_object_sees_what_apply_wrote(self, store: ReadStore) -> None:
        await keep(store, Article("a"), Article("b"), Article("c"))
        await keep(store, Article("b", stock=2), deleted=["c"])
        seen = await everything_of(store, ["a", "b", "c"])
        async with self.another(store) as other:
            if other is not None:
                assert await everything_of(other, ["a", "b", "c"]) == seen
                await keep(other, Article("d"))
                assert await fetch(store, "d") == Article("d"), "written by another process"

    async def test_g8_closing_forgets_nothing_and_a_volatile_store_everything(
        self, store: ReadStore
    ) -> None:
        await keep(store, Article("a"), Article("b"))
        seen = await everything_of(store, ["a", "b"])
        await store.close()
        await store.close()
        async with self.another(store) as other:
            if other is not None:
                assert await everything_of(other, ["a", "b"]) == seen
                await other.apply([change(1, 2, Article("c"))])
                return
        await store.open([ARTICLES, NOTES])
        empty = (Loaded(0, {}), CheckpointInfo(0, ""))
        assert await everything_of(store, ["a", "b"]) == empty, "a volatile store forgets on close"

    async def test_g8_opening_again_keeps_what_is_there(self, store: ReadStore) -> None:
        await keep(store, Article("a"))
        await store.open([ARTICLES])
        await store.open([ARTICLES, NOTES])
        await store.open([])
        assert await fetch(store, "a") == Article("a")
        assert await store.checkpoint("articles") == CheckpointInfo(1, "articles-1")
