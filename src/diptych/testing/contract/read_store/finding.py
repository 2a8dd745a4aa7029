"""Rows by field values, in order (G5)."""

# ruff: noqa: D102  the name of a test is its sentence

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from diptych.errors import ConfigurationError
from diptych.queries.read_store import Capability, Filter, Find, Operator, ReadStore, Row
from diptych.testing.contract.read_store.words import (
    Article,
    Note,
    Season,
    fetch,
    found,
    keep,
    moment,
    where,
)
from diptych.testing.contract.suite import Contract, refusal

__all__ = ["Finding"]

_MEETS: dict[Operator, Callable[[Any, Any], bool]] = {
    "=": lambda value, wanted: value == wanted,
    "<": lambda value, wanted: value is not None and value < wanted,
    "<=": lambda value, wanted: value is not None and value <= wanted,
    ">": lambda value, wanted: value is not None and value > wanted,
    ">=": lambda value, wanted: value is not None and value >= wanted,
    "in": lambda value, wanted: value in wanted,
}


class Finding(Contract):
    """Tests of G5: exactly the rows that meet the filters, in total order, cut to the limit.

    None comes after every value, whether ascending or descending, and is equal to None only. Rows
    that are equal in the order are in the order of their keys, also when it is descending.
    """

    async def finds(self, store: ReadStore) -> bool:
        """Whether the store declares FIND; one that does not must refuse to."""
        if Capability.FIND in store.capabilities:
            return True
        await refusal(ConfigurationError, store.find("articles", Find()), "FIND is not declared")
        await refusal(ConfigurationError, store.count("articles"), "FIND is not declared")
        return False

    async def test_g5_without_filters_all_rows_come_by_key(self, store: ReadStore) -> None:
        if await self.finds(store):
            keys = ["b", "a", "ä", "B", "10", "9", "", "a b", "ab", "😀", "\ufffd", "z"]
            await keep(store, *map(Article, keys))
            # By code point: the one order that every store and every Python agrees on.
            assert await found(store) == sorted(keys)
            assert await found(store, limit=3) == sorted(keys)[:3]
            assert await found(store, limit=0) == []
            assert await found(store, limit=1_000) == sorted(keys)
            assert await store.count("articles") == len(keys)

    async def test_g5_found_rows_are_whole(self, store: ReadStore) -> None:
        if await self.finds(store):
            article = Article("a", title="t", stock=1, tags=["x"], extra={"y": [None]})
            at = await keep(store, article)
            (row,) = await store.find("articles", Find(where("stock", "=", 1)))
            assert row == Row("a", at, article)
            assert type(row.value) is Article

    async def test_g5_texts_are_compared_by_code_point(self, store: ReadStore) -> None:
        values = ["a", "B", "b", "ä", "z", "", " ", "a%", "a_", "'", "10", "9"]
        await self._compare(store, "shelf", values)

    async def test_g5_integers_are_compared_as_numbers(self, store: ReadStore) -> None:
        await self._compare(store, "stock", [0, 9, 10, -1, -10, 2**53, 2**53 + 1, 2**63 - 1])

    async def test_g5_floats_are_compared_as_numbers(self, store: ReadStore) -> None:
        await self._compare(store, "weight", [0.0, 0.1 + 0.2, 0.3, 9.5, 10.25, -1e300, 1e-300, 2.0])

    async def test_g5_decimals_are_compared_as_numbers(self, store: ReadStore) -> None:
        texts = ["0", "9.5", "10.25", "-1", "-10", "100", "0.1", "1E+3"]
        await self._compare(store, "price", [Decimal(text) for text in texts])

    async def test_g5_moments_are_compared_in_time(self, store: ReadStore) -> None:
        texts = ["12:00", "12:00:00.5", "12:00:00.000001", "11:59:59.999999", "23:00", "09:30"]
        await self._compare(store, "added", [moment(f"2026-01-31 {text}") for text in texts])

    async def test_g5_moments_with_other_offsets_are_compared_in_time(
        self, store: ReadStore
    ) -> None:
        east = timezone(timedelta(hours=2))
        values = [
            moment("2026-01-31 12:30"),
            datetime(2026, 1, 31, 14, 0, tzinfo=east),
            datetime(2026, 1, 31, 15, 0, tzinfo=east),
        ]
        await self._compare(store, "added", values)

    async def test_g5_truth_is_compared_as_truth(self, store: ReadStore) -> None:
        await self._compare(store, "sold_out", [False, True])

    async def test_g5_enums_are_compared_by_value(self, store: ReadStore) -> None:
        if await self.finds(store):
            await keep(
                store, Article("w", season=Season.WINTER), Article("s", season=Season.SUMMER)
            )
            assert await found(store, *where("season", "=", Season.WINTER)) == ["w"]
            assert await found(store, *where("season", "in", (Season.SUMMER,))) == ["s"]
            assert await found(store, order_by="season") == ["s", "w"]

    async def test_g5_the_key_is_a_field_like_others(self, store: ReadStore) -> None:
        if await self.finds(store):
            await keep(store, *map(Article, "abcd"))
            assert await found(store, *where("sku", "=", "b")) == ["b"]
            assert await found(store, *where("sku", ">", "b")) == ["c", "d"]
            assert await found(store, *where("sku", "in", ["d", "a", "x"])) == ["a", "d"]
            assert await found(store, order_by="sku", descending=True) == ["d", "c", "b", "a"]

    async def test_g5_none_is_equal_to_none_only_and_comes_last(self, store: ReadStore) -> None:
        if await self.finds(store):
            stocks = {"a": 2, "b": None, "c": 0, "d": None, "e": -1}
            await keep(store, *(Article(key, stock=stock) for key, stock in stocks.items()))
            assert await found(store, *where("stock", "=", None)) == ["b", "d"]
            assert await found(store, *where("stock", "<=", 0)) == ["c", "e"]
            assert await found(store, *where("stock", ">=", -5)) == ["a", "c", "e"]
            assert await found(store, *where("stock", "in", [None, 2])) == ["a", "b", "d"]
            assert await found(store, order_by="stock") == ["e", "c", "a", "b", "d"]
            assert await found(store, order_by="stock", descending=True) == [
                "a",
                "c",
                "e",
                "b",
                "d",
            ]

    async def test_g5_equal_rows_are_ordered_by_key(self, store: ReadStore) -> None:
        if await self.finds(store):
            keys = ["d", "B", "a", "c", "e"]
            await keep(store, *(Article(key, stock=1) for key in keys), Article("0", stock=2))
            assert await found(store, order_by="stock") == ["B", "a", "c", "d", "e", "0"]
            down = await found(store, order_by="stock", descending=True)
            assert down == ["0", "B", "a", "c", "d", "e"]
            assert await found(store, order_by="stock", limit=2) == ["B", "a"]

    async def test_g5_all_filters_have_to_be_met(self, store: ReadStore) -> None:
        if await self.finds(store):
            await keep(
                store,
                Article("a", shelf="x", stock=1),
                Article("b", shelf="x", stock=5),
                Article("c", shelf="y", stock=5),
            )
            both = (Filter("shelf", "=", "x"), Filter("stock", ">", 2))
            assert await found(store, *both) == ["b"]
            assert await found(store, *reversed(both)) == ["b"]
            range_ = (Filter("stock", ">=", 1), Filter("stock", "<", 5))
            assert await found(store, *range_) == ["a"]
            assert await found(store, *where("shelf", "in", [])) == []
            assert await found(store, *both, *where("shelf", "=", "y")) == []
            assert await store.count("articles", both) == 1

    async def test_g5_values_are_values_and_never_patterns(self, store: ReadStore) -> None:
        if await self.finds(store):
            shelves = ["a", "A", "a ", "a%", "a_", "a'b", 'a"b', "a\\b", "ab", "x' OR '1'='1", "ä"]
            await keep(store, *(Article(shelf, shelf=shelf) for shelf in shelves))
            for shelf in shelves:
                assert await found(store, *where("shelf", "=", shelf)) == [shelf]
                assert await found(store, *where("shelf", "in", [shelf])) == [shelf]
            assert await found(store, *where("shelf", "=", "%")) == []

    async def test_g5_find_sees_the_row_written_last(self, store: ReadStore) -> None:
        if await self.finds(store):
            await keep(store, Article("a", stock=1), Article("b", stock=1), Article("c", stock=1))
            await keep(store, Article("a", stock=2), deleted=["b"])
            assert await found(store, *where("stock", "=", 1)) == ["c"]
            assert await found(store, *where("stock", "=", 2)) == ["a"]
            assert await store.count("articles", where("stock", "=", 1)) == 1
            assert await fetch(store, "a") == Article("a", stock=2)

    async def test_g5_a_scan_goes_on_after_a_key(self, store: ReadStore) -> None:
        if await self.finds(store):
            keys = [f"{number:02}" for number in range(25)]
            await keep(store, *(Article(key, stock=int(key) % 3) for key in reversed(keys)))
            scanned: list[str] = []
            after: str | None = None
            while page := await found(store, after_key=after, limit=10):
                assert len(page) <= 10
                scanned += page
                after = page[-1]
            assert scanned == keys
            assert await found(store, after_key="04x", limit=2) == ["05", "06"]
            third = where("stock", "=", 0)
            assert await found(store, *third, after_key="06", limit=2) == ["09", "12"]
            assert await found(store, after_key="99") == []

    async def test_g5_projections_do_not_mix(self, store: ReadStore) -> None:
        if await self.finds(store):
            await keep(store, Article("a", stock=1))
            await keep(store, Note("n", 1), projection="notes")
            assert await found(store, *where("stock", "=", 1)) == ["a"]
            assert await found(store, *where("stock", "=", 1), projection="notes") == ["n"]
            assert await store.count("notes") == 1

    async def test_g5_any_find_is_what_a_plain_loop_would_find(self, store: ReadStore) -> None:
        if not await self.finds(store):
            return
        chance = random.Random(11)  # noqa: S311  repeatable by design
        articles = [
            Article(
                f"k-{chance.randrange(10_000)}-{number}",
                shelf=chance.choice([None, "a", "b", "B"]),
                stock=chance.choice([None, *range(-3, 4)]),
                weight=chance.choice([0.5, 1.0, 10.0, -2.5]),
                sold_out=chance.random() < 0.5,
            )
            for number in range(60)
        ]
        await keep(store, *articles)
        for _ in range(150):
            find = _any_find(chance)
            keys = [row.key for row in await store.find("articles", find)]
            assert keys == _plain_loop(articles, find), f"{find}"
            matching = _plain_loop(articles, Find(find.filters))
            assert await store.count("articles", find.filters) == len(matching), f"{find.filters}"

    async def _compare(self, store: ReadStore, field: str, values: list[Any]) -> None:
        """Every operator with every value, and the order, against Python's own comparison."""
        if not await self.finds(store):
            return
        articles = [Article(f"k-{at}", **{field: value}) for at, value in enumerate(values)]
        await keep(store, *articles)
        for value in values:
            for operator in _MEETS:
                find = Find(where(field, operator, [value] if operator == "in" else value))
                keys = [row.key for row in await store.find("articles", find)]
                assert keys == _plain_loop(articles, find), f"{field} {operator} {value!r}"
        for descending in (False, True):
            find = Find(order_by=field, descending=descending)
            keys = [row.key for row in await store.find("articles", find)]
            assert keys == _plain_loop(articles, find), f"ordered by {field}, {descending=}"


def _any_find(chance: random.Random) -> Find:
    values: dict[str, list[Any]] = {
        "shelf": ["a", "b", "A", ""],
        "stock": [-3, 0, 1, 9],
        "weight": [1.0, -2.5, 3.0],
        "sold_out": [True, False],
    }
    filters = []
    for field in chance.sample(sorted(values), chance.randrange(3)):
        operator = chance.choice(sorted(_MEETS))
        value = (
            chance.sample(values[field], 2) if operator == "in" else chance.choice(values[field])
        )
        filters.append(Filter(field, operator, value))
    order_by = chance.choice([None, *values])
    return Find(
        tuple(filters),
        order_by=order_by,
        descending=order_by is not None and chance.random() < 0.5,
        limit=chance.choice([None, 1, 5, 100]),
    )


def _plain_loop(articles: list[Article], find: Find) -> list[str]:
    """What `find` means, in as few words as Python has for it."""
    rows = [
        article
        for article in sorted(articles, key=lambda article: article.sku)
        if all(_MEETS[how](getattr(article, field), value) for field, how, value in find.filters)
    ]
    if find.order_by is None:
        return [article.sku for article in rows[: find.limit]]
    field = find.order_by
    with_value = [article for article in rows if getattr(article, field) is not None]
    without = [article for article in rows if getattr(article, field) is None]
    with_value.sort(key=lambda article: getattr(article, field), reverse=find.descending)
    return [article.sku for article in (with_value + without)[: find.limit]]
