"""Rows by words (G7)."""

# ruff: noqa: D102  the name of a test is its sentence

from __future__ import annotations

from diptych.errors import ConfigurationError
from diptych.queries.read_store import Capability, Filter, Find, ReadStore
from diptych.testing.contract.read_store.words import Article, found, keep
from diptych.testing.contract.suite import Contract, refusal

__all__ = ["Searching"]


class Searching(Contract):
    """Tests of G7: whole words and their beginnings, whatever their case."""

    async def searches(self, store: ReadStore) -> bool:
        """Whether the store declares FULL_TEXT; one that does not must refuse to."""
        if Capability.FULL_TEXT in store.capabilities:
            return True
        find = Find(search="word")
        await refusal(ConfigurationError, store.find("articles", find), "no FULL_TEXT declared")
        return False

    async def _given(self, store: ReadStore) -> bool:
        if not await self.searches(store):
            return False
        await keep(
            store,
            Article("bunting", "PARTY BUNTING", "a string of flags", "a", stock=1),
            Article("lantern", "Hanging Lantern", "red, for a party", "a", stock=3),
            Article("bag", "Jumbo bag: red-white", None, "b", stock=2),
            Article("cafe", "Größe Übersee", "Straße 42", "b"),
        )
        return True

    async def test_g7_whole_words_are_found_whatever_their_case(self, store: ReadStore) -> None:
        if await self._given(store):
            for search in ("party", "PARTY", "Party"):
                assert await found(store, search=search) == ["bunting", "lantern"]
            assert await found(store, search="42") == ["cafe"]
            for search in ("größe", "GRÖSSE"[:3], "übersee", "ÜBERSEE"):
                assert await found(store, search=search) == ["cafe"], f"{search!r}"
            assert await found(store, search="absent") == []

    async def test_g7_beginnings_of_words_are_found_and_middles_are_not(
        self, store: ReadStore
    ) -> None:
        if await self._given(store):
            assert await found(store, search="bunt") == ["bunting"]
            assert await found(store, search="PAR") == ["bunting", "lantern"]
            assert await found(store, search="l") == ["lantern"]
            assert await found(store, search="unting") == []
            assert await found(store, search="arty") == []
            assert await found(store, search="partying") == []

    async def test_g7_all_words_have_to_be_there_in_any_field(self, store: ReadStore) -> None:
        if await self._given(store):
            assert await found(store, search="party lantern") == ["lantern"]
            assert await found(store, search="lan  red par") == ["lantern"]
            assert await found(store, search="bag white") == ["bag"]
            assert await found(store, search="party bag") == []

    async def test_g7_signs_are_no_language(self, store: ReadStore) -> None:
        if await self._given(store):
            for search in ("par*", '"party"', "party AND", "(party", "party:", "'party'", "+party"):
                words = await found(store, search=search)
                wanted = [] if "AND" in search else ["bunting", "lantern"]
                assert words == wanted, f"{search!r} found {words}"
            assert await found(store, search="red-white") == ["bag"]
            assert await found(store, search="title:party") == []
            assert await found(store, search="party -lantern") == ["lantern"]
            assert await found(store, search="party OR bag") == []
            assert await found(store, search="NEAR(party red)") == []

    async def test_g7_no_words_find_nothing(self, store: ReadStore) -> None:
        if await self._given(store):
            for search in ("", "   ", '"', "*", "-"):
                assert await found(store, search=search) == [], f"{search!r}"

    async def test_g7_search_goes_together_with_the_rest(self, store: ReadStore) -> None:
        if await self._given(store) and Capability.FIND in store.capabilities:
            assert await found(store, Filter("shelf", "=", "b"), search="red") == ["bag"]
            assert await found(store, search="red", order_by="stock") == ["bag", "lantern"]
            down = await found(store, search="red", order_by="stock", descending=True)
            assert down == ["lantern", "bag"]
            assert await found(store, search="red", limit=1) == ["bag"]
            assert await found(store, search="red", after_key="bag") == ["lantern"]

    async def test_g7_search_sees_the_row_written_last(self, store: ReadStore) -> None:
        if await self._given(store):
            await keep(store, Article("bunting", "PAPER CHAIN"), deleted=["lantern"])
            assert await found(store, search="party") == []
            assert await found(store, search="bunting") == []
            assert await found(store, search="paper") == ["bunting"]
            await keep(store, Article("lantern", "party again"))
            assert await found(store, search="party") == ["lantern"]

    async def test_g7_only_search_fields_are_searched(self, store: ReadStore) -> None:
        if await self.searches(store):
            await keep(store, Article("hidden", shelf="hidden", tags=["hidden"]))
            assert await found(store, search="hidden") == []
