"""What is parked stays parked until it is unparked, and comes in order (G3)."""

# ruff: noqa: D102  the name of a test is its sentence

from __future__ import annotations

from diptych.queries.parked import Parked
from diptych.queries.read_store import Change, ReadStore
from diptych.testing.contract.read_store.opening import StoreContract
from diptych.testing.contract.read_store.words import Article, change, parked
from diptych.testing.contract.standings.words import numbered, park

__all__ = ["Parking"]

ODD_KEYS = [
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
    "a\\",
    "a\nb",
    "a,b",
    "[1]",
    "😀",
    "1",
    "01",
    "",
    "null",
    "x" * 400,
]
FULL = Parked(
    "Größe 😀 'quoted' \"twice\" \\ /",
    2**53 + 1,
    "Cart-O'Hara",
    "ItemAddedToCart",
    because="skipped",
    by_stream=True,
    error="ValueError: \"quantity\" must be at least 1, not '-1'",
    trace='Traceback:\n  File "carts.py", line 12\n\tpage.lines[0]\n😀\n' * 50,
    attempts=2**31,
    at_us=1_767_225_600_000_001,
    reason="a typo in the import; see the mail of 3 May",
    actor="ann@example.com",
)


class Parking(StoreContract):
    """Tests of G3 (all of it, and in order)."""

    async def test_g3_nothing_is_parked_at_first(self, store: ReadStore) -> None:
        assert await store.parked("articles") == []
        assert await store.parked("articles", ["a"], 5) == []
        assert not (await store.checkpoint("articles")).parks

    async def test_g3_an_entry_comes_back_equal(self, store: ReadStore) -> None:
        entries = [parked("poor", 1), FULL]
        await park(store, *entries)
        found = await store.parked("articles")
        assert found == entries
        assert [type(one) for one in found] == [Parked, Parked]

    async def test_g3_entries_come_by_position_and_then_key(self, store: ReadStore) -> None:
        entries = [
            parked(key, position)
            for position in (1, 2, 9, 10, 11, 99, 100, 2**31, 2**40)
            for key in ("B", "a", "b", "é", "😀")
        ]
        mixed = [entries[number * 7 % len(entries)] for number in range(len(entries))]
        for at in range(0, len(mixed), 7):
            await park(store, *mixed[at : at + 7])
        assert await store.parked("articles") == entries
        assert await store.parked("articles", ["b", "B"]) == [
            one for one in entries if one.key in ("b", "B")
        ]

    async def test_g3_a_limit_cuts_the_first(self, store: ReadStore) -> None:
        entries = [parked(f"k-{position % 3}", position) for position in range(1, 21)]
        await park(store, *reversed(entries))
        for limit in (0, 1, 7, 20, 100):
            assert await store.parked("articles", None, limit) == entries[:limit]
        of_one = [one for one in entries if one.key == "k-1"]
        assert await store.parked("articles", ["k-1"], 2) == of_one[:2]
        assert await store.parked("articles", ["k-1"]) == of_one

    async def test_g3_of_some_keys_come_those_of_exactly_these_keys(self, store: ReadStore) -> None:
        entries = [parked(key, at) for at, key in enumerate(ODD_KEYS, start=1)]
        await park(store, *entries)
        for entry in entries:
            assert await store.parked("articles", [entry.key]) == [entry]
        assert await store.parked("articles", ODD_KEYS) == entries
        assert await store.parked("articles", ["a", "x", "a", "1"]) == [
            one for one in entries if one.key in ("a", "1")
        ]
        assert await store.parked("articles", []) == []
        many = [f"x-{number}" for number in range(70_000)] + ["a"]
        assert [one.key for one in await store.parked("articles", many)] == ["a"]

    async def test_g3_a_key_and_a_stream_of_the_same_name_are_two(self, store: ReadStore) -> None:
        of_key, of_stream = parked("same", 3), parked("same", 3, by_stream=True)
        await park(store, of_stream, of_key)
        assert await store.parked("articles", ["same"]) == [of_key, of_stream]
        await park(store, unparked=[of_key])
        assert await store.parked("articles") == [of_stream]

    async def test_g3_parking_again_replaces(self, store: ReadStore) -> None:
        await park(store, parked("a", 3), parked("a", 4), parked("b", 3))
        again = parked("a", 3, error="KeyError: 'x'", attempts=2)
        await park(store, again)
        assert await store.parked("articles") == [again, parked("b", 3), parked("a", 4)]
        skipped = parked("a", 3, because="skipped", reason="a test", actor="ann")
        await park(store, skipped)
        assert await store.parked("articles", ["a"]) == [skipped, parked("a", 4)]

    async def test_g3_unparking_removes_exactly_that(self, store: ReadStore) -> None:
        gone = parked("a", 3)
        near = [
            parked("a", 3, by_stream=True),
            parked("a", 4),
            parked("aa", 3),
            parked("A", 3),
            parked("b", 30),
            parked("c", 5, because="skipped"),
        ]
        await park(store, gone, *near)
        await park(store, gone, projection="notes")
        # What is known of it may have changed since it was parked; it is the same place.
        await park(store, unparked=[parked("a", 3, attempts=5), parked("never", 1)])
        left = sorted(near, key=lambda one: (one.position, one.key, one.by_stream))
        assert await store.parked("articles") == left
        assert await store.parked("notes") == [gone], "another projection's"
        await park(store, unparked=near)
        assert await store.parked("articles") == []

    async def test_g3_a_checkpoint_says_whether_anything_is_parked(self, store: ReadStore) -> None:
        entries = [parked("a", 1), parked("b", 2, because="skipped", reason="known", actor="ann")]
        await park(store, *entries)
        for entry in entries:
            assert (await store.checkpoint("articles")).parks
            assert (await store.checkpoints(["articles"]))["articles"].parks
            assert not (await store.checkpoint("notes")).parks
            await park(store, unparked=[entry])
        assert not (await store.checkpoint("articles")).parks
        assert not (await store.checkpoints(["articles"]))["articles"].parks

    async def test_g3_changes_that_park_nothing_leave_what_is_parked(
        self, store: ReadStore
    ) -> None:
        await park(store, parked("a", 1))
        await store.apply([change(0, 5, Article("a"), Article("b"))])
        await store.apply([change(5, 6, deleted=["a"])])
        await store.apply([Change("articles", 6, 7, parked=[parked("b", 7)])])
        assert await store.parked("articles") == [parked("a", 1), parked("b", 7)]

    async def test_g3_any_number_is_parked_and_unparked_at_once(self, store: ReadStore) -> None:
        entries = [parked(f"k-{number % 500}", number) for number in range(1, 3_001)]
        await park(store, *entries)
        assert await store.parked("articles") == entries
        await park(store, unparked=entries[:2_500])
        assert await store.parked("articles") == entries[2_500:]

    async def test_g3_generations_do_not_mix(self, store: ReadStore) -> None:
        await store.open([numbered(1)])
        await park(store, parked("a", 1))
        await park(store, parked("a", 1, attempts=2), parked("b", 1), projection="articles__1")
        await park(store, unparked=[parked("b", 1)])
        assert await store.parked("articles") == [parked("a", 1)]
        assert await store.parked("articles__1") == [parked("a", 1, attempts=2), parked("b", 1)]

    async def test_g3_another_object_sees_what_is_parked(self, store: ReadStore) -> None:
        await park(store, FULL, parked("a", 1))
        async with self.another(store) as other:
            if other is not None:
                assert await other.parked("articles") == [parked("a", 1), FULL]
                await park(other, parked("b", 2), unparked=[FULL])
        left = [parked("a", 1), FULL] if store.volatile else [parked("a", 1), parked("b", 2)]
        assert await store.parked("articles") == left
