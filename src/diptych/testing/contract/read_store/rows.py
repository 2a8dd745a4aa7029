"""Rows come back as they were written (G4), and go away when they should (G6)."""

# ruff: noqa: D102  the name of a test is its sentence

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from diptych.queries.read_model import ReadModel, shape_of
from diptych.queries.read_store import (
    Capability,
    CheckpointInfo,
    Find,
    Loaded,
    ReadStore,
    Row,
    TableSpec,
)
from diptych.testing.contract.read_store.words import (
    ARTICLES,
    NOTES,
    Article,
    Line,
    Note,
    Season,
    change,
    fetch,
    found,
    keep,
    moment,
    where,
)
from diptych.testing.contract.suite import Contract

__all__ = ["Rows"]


def rich(sku: str) -> Article:
    """A row with something in every field."""
    return Article(
        sku=sku,
        title="Größe 😀 'quoted' \"twice\" \\ /",
        text="",
        shelf="A-1",
        stock=-7,
        price=Decimal("12345678901234567890.120"),
        weight=0.1 + 0.2,
        added=moment("2026-01-31 12:00:00.000001"),
        season=Season.WINTER,
        sold_out=True,
        tags=["x", "y"],
        lines=[Line("one", Decimal("1.10")), Line("two", Decimal(-2))],
        extra={"deep": {"list": [1, 2.5, None, True, "é"]}, "": 2**63 - 1, "low": -(2**63)},
    )


class Rows(Contract):
    """Tests of G4 (equal and independent) and G6 (nothing before the first, nor after a reset)."""

    async def test_g4_a_row_comes_back_equal(self, store: ReadStore) -> None:
        for written in (rich("rich"), Article("poor"), Article("odd", weight=1e-300, extra={})):
            at = await keep(store, written)
            loaded = await store.load("articles", [written.sku])
            assert loaded.rows[written.sku] == Row(written.sku, at, written)
            back = loaded.rows[written.sku].value
            assert type(back) is Article, f"a row came back as {type(back)}"
            assert str(back.price) == str(written.price), "a Decimal lost its digits"

    async def test_g4_a_time_with_another_offset_stays_the_same_moment(
        self, store: ReadStore
    ) -> None:
        added = datetime(2026, 1, 31, 14, 0, tzinfo=timezone(timedelta(hours=2)))
        await keep(store, Article("a", added=added))
        assert (await fetch(store, "a")).added == added

    async def test_g4_the_row_written_last_replaces_the_whole(self, store: ReadStore) -> None:
        await keep(store, rich("a"))
        await keep(store, Article("a", stock=1))
        loaded = await store.load("articles", ["a"])
        assert loaded.rows["a"] == Row("a", 2, Article("a", stock=1)), "rows are not merged"
        await keep(store, deleted=["a"])
        assert await fetch(store, "a") is None
        await keep(store, Article("a", stock=2))
        assert await fetch(store, "a") == Article("a", stock=2)

    async def test_g4_the_last_of_several_rows_with_one_key_stays(self, store: ReadStore) -> None:
        await keep(store, Article("a", stock=1), Article("b"), Article("a", stock=2))
        assert await fetch(store, "a") == Article("a", stock=2)

    async def test_g4_changing_a_returned_row_changes_nothing(self, store: ReadStore) -> None:
        await keep(store, rich("a"))
        self._spoil((await store.load("articles", ["a"])).rows["a"].value)
        (await store.load("articles", ["a"])).rows.clear()
        assert await fetch(store, "a") == rich("a"), "a row that was read is part of the store"
        if Capability.FIND in store.capabilities:
            self._spoil((await store.find("articles", Find()))[0].value)
            assert await fetch(store, "a") == rich("a"), "a row that was found is part of the store"
            assert await found(store, *where("stock", "=", -7)) == ["a"]

    async def test_g4_changing_a_written_row_changes_nothing(self, store: ReadStore) -> None:
        mine = rich("a")
        await keep(store, mine)
        self._spoil(mine)
        assert await fetch(store, "a") == rich("a"), "a row that was written is still the caller's"

    async def test_g4_keys_are_compared_exactly(self, store: ReadStore) -> None:
        keys = [
            "a",
            "A",
            "a ",
            " a",
            "ä",
            "a\u0308",
            "a%",
            "a_",
            "a'",
            'a"',
            "a:b/c?d",
            "😀",
            "1",
            "01",
        ]
        keys += ["", "x" * 400, "None", "null"]
        await keep(store, *(Article(key, title=key) for key in keys))
        loaded = await store.load("articles", keys)
        assert {key: row.value.title for key, row in loaded.rows.items()} == {k: k for k in keys}
        await keep(store, deleted=["a", "a%"])
        left = await store.load("articles", keys)
        assert set(loaded.rows) - set(left.rows) == {"a", "a%"}

    async def test_g4_projections_do_not_mix(self, store: ReadStore) -> None:
        await keep(store, Article("same", stock=1))
        await keep(store, Note("same", 2), projection="notes")
        assert await fetch(store, "same") == Article("same", stock=1)
        assert await fetch(store, "same", "notes") == Note("same", 2)
        await keep(store, deleted=["same"])
        assert await fetch(store, "same", "notes") == Note("same", 2)

    async def test_g6_nothing_is_there_before_the_first_apply(self, store: ReadStore) -> None:
        assert await store.checkpoint("articles") == CheckpointInfo(0, "")
        assert await store.load("articles", ["a"]) == Loaded(0, {})
        if Capability.FIND in store.capabilities:
            assert await store.find("articles", Find()) == []
            assert await store.count("articles") == 0

    async def test_g6_nothing_is_there_after_a_reset(self, store: ReadStore) -> None:
        await store.apply([change(0, 9, Article("a", title="word"), Article("b"))])
        await keep(store, Note("n"), projection="notes")
        await store.reset(ARTICLES)
        assert await store.checkpoint("articles") == CheckpointInfo(0, "")
        assert await store.load("articles", ["a", "b"]) == Loaded(0, {})
        if Capability.FIND in store.capabilities:
            assert await store.find("articles", Find()) == []
            assert await store.count("articles") == 0
        if Capability.FULL_TEXT in store.capabilities:
            assert await found(store, search="word") == []
        assert await fetch(store, "n", "notes") == Note("n"), "another projection was reset, too"
        assert (await store.checkpoint("notes")).position == 1
        await store.apply([change(0, 1, Article("c"))])
        assert await store.load("articles", ["a", "c"]) == Loaded(
            1, {"c": Row("c", 1, Article("c"))}
        )

    async def test_g6_the_checkpoint_says_for_which_fingerprint_rows_were_made(
        self, store: ReadStore
    ) -> None:
        await keep(store, Article("a"))
        newer = TableSpec("articles", "articles-2", ARTICLES.shape)
        await store.open([newer])
        info = await store.checkpoint("articles")
        assert info == CheckpointInfo(1, "articles-1"), (
            "opening for a new fingerprint must not pass old rows off as new"
        )
        await store.reset(newer)
        assert await store.checkpoint("articles") == CheckpointInfo(0, "")
        await store.apply([change(0, 4, Article("a"))])
        assert await store.checkpoint("articles") == CheckpointInfo(4, "articles-2")

    async def test_g6_a_reset_makes_room_for_another_shape(self, store: ReadStore) -> None:
        await keep(store, rich("a"), Article("b"))
        await store.reset(TableSpec("articles", "notes-like", shape_of(Shelf)))
        shelves = [Shelf("s-2", "upper", [2]), Shelf("s-1", "lower", [1])]
        await keep(store, *shelves)
        assert await fetch(store, "s-1") == shelves[1]
        if Capability.FIND in store.capabilities:
            assert await found(store, order_by="place") == ["s-1", "s-2"]
            assert await found(store, *where("place", "=", "upper")) == ["s-2"]
        if Capability.FULL_TEXT in store.capabilities:
            assert await found(store, search="low") == ["s-1"]

    async def test_g6_projections_can_be_added_later(self, store: ReadStore) -> None:
        await keep(store, Article("a"))
        shelves = TableSpec("shelves", "1", shape_of(Shelf))
        await store.open([ARTICLES, NOTES, shelves])
        assert await store.checkpoint("shelves") == CheckpointInfo(0, "")
        await keep(store, Shelf("s", "upper"), projection="shelves")
        assert await fetch(store, "s", "shelves") == Shelf("s", "upper")
        assert await fetch(store, "a") == Article("a")

    async def test_g6_a_scratch_store_is_empty_and_apart(self, store: ReadStore) -> None:
        await keep(store, Article("a", stock=1))
        scratch = store.scratch()
        assert scratch.capabilities == store.capabilities, "a scratch store can do the same"
        await scratch.open([ARTICLES])
        assert await scratch.load("articles", ["a"]) == Loaded(0, {})
        await keep(scratch, Article("a", stock=2))
        second = store.scratch()
        await second.open([ARTICLES])
        assert await second.load("articles", ["a"]) == Loaded(0, {}), "scratch stores share rows"
        assert await fetch(store, "a") == Article("a", stock=1)
        assert await fetch(scratch, "a") == Article("a", stock=2)
        await second.close()
        await scratch.close()
        assert await fetch(store, "a") == Article("a", stock=1)

    def _spoil(self, article: Any) -> None:
        article.stock = 99
        article.tags.append("spoilt")
        article.lines[0].text = "spoilt"
        article.extra["deep"]["list"].clear()


class Shelf(ReadModel, key="shelf_id", indexes=("place",), search=("place",)):
    """Rows of a shape that the articles do not have."""

    shelf_id: str
    place: str
    articles: list[int] = []
