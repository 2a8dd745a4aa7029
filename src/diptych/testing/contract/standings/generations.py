"""Several sets of rows of one projection: they change roles together (G4), and go alone (G5)."""

# ruff: noqa: D102  the name of a test is its sentence

from __future__ import annotations

import asyncio

from diptych.errors import ConfigurationError
from diptych.queries.read_store import (
    Capability,
    Change,
    Generation,
    ReadStore,
    Role,
    Statement,
    TableSpec,
)
from diptych.testing.contract.read_store.opening import StoreContract
from diptych.testing.contract.read_store.words import (
    ARTICLES,
    NOTES,
    Article,
    found,
    keep,
    own,
    parked,
    where,
)
from diptych.testing.contract.standings.words import (
    NOTHING,
    furnish,
    furniture,
    numbered,
    park,
    roles_of,
)
from diptych.testing.contract.suite import outcomes, refusal

__all__ = ["Generations"]

LOOK_ALIKE = ["articles__01", "articles__x", "articles__1__2", "articles_1", "articlesab1"]
SWAPPED: dict[str, Role] = {"articles": "kept", "articles__1": "served"}
FIRST: dict[str, Role] = {"articles": "served", "articles__1": "building"}


class Generations(StoreContract):
    """Tests of G4 (switch) and G5 (drop)."""

    async def test_g4_generations_are_born_into_their_roles(self, store: ReadStore) -> None:
        assert await store.generations("articles") == [Generation("articles", "served", 0, "")]
        await store.open([numbered(10), numbered(2), numbered(1)])
        await keep(store, Article("a"), projection="articles__2")
        assert await store.generations("articles") == [
            Generation("articles", "served", 0, ""),
            Generation("articles__1", "building", 0, ""),
            Generation("articles__2", "building", 1, "articles-made-2"),
            Generation("articles__10", "building", 0, ""),
        ]
        assert await store.generations("unknown") == []

    async def test_g4_a_checkpoint_says_the_role(self, store: ReadStore) -> None:
        await store.open([numbered(1)])
        names = ["articles", "articles__1"]
        for roles in (FIRST, SWAPPED):
            assert await store.switch(await roles_of(store), roles)
            assert {name: (await store.checkpoint(name)).role for name in names} == roles
            several = await store.checkpoints(names)
            assert {name: info.role for name, info in several.items()} == roles

    async def test_g4_names_that_only_look_alike_are_no_generations(self, store: ReadStore) -> None:
        shape = ARTICLES.shape
        await store.open([TableSpec(name, "1", shape) for name in LOOK_ALIKE])
        assert await roles_of(store) == {"articles": "served"}
        for name in LOOK_ALIKE:
            expected = {name: "building" if name == "articles__1__2" else "served"}
            assert await roles_of(store, name) == expected
        assert await roles_of(store, "articles__1") == {"articles__1__2": "building"}

    async def test_g4_a_switch_needs_the_roles_it_expects(self, store: ReadStore) -> None:
        await store.open([numbered(1), numbered(2)])
        wrong: list[dict[str, Role]] = [
            {"articles": "kept", "articles__1": "building"},
            {"articles": "served", "articles__1": "served"},
            {"articles": "served", "articles__1": "building", "articles__2": "kept"},
            {"articles": "served", "articles__9": "building"},
        ]
        for before in wrong:
            assert not await store.switch(before, SWAPPED), f"{before} are not the roles"
            assert await roles_of(store) == {**FIRST, "articles__2": "building"}
        assert await store.switch(FIRST, SWAPPED)
        assert await roles_of(store) == {**SWAPPED, "articles__2": "building"}
        assert not await store.switch(FIRST, SWAPPED), "these were the roles"
        assert await store.switch(SWAPPED, {"articles": "served", "articles__1": "kept"})
        assert (await roles_of(store))["articles"] == "served", "there is a way back"

    async def test_g4_a_switch_needs_the_epochs_it_expects(self, store: ReadStore) -> None:
        await store.open([numbered(1)])
        await own(store, 3, "me", "articles")
        for epochs in ({"articles": 2}, {"articles": 4}, {"articles": 3, "articles__1": 1}):
            assert not await store.switch(FIRST, SWAPPED, epochs), f"{epochs} are not the epochs"
            assert await roles_of(store) == FIRST
        assert await store.switch(FIRST, SWAPPED, {"articles": 3, "articles__1": 0})
        assert await roles_of(store) == SWAPPED

    async def test_g4_the_first_generation_is_not_born_served_beside_a_served_one(
        self, store: ReadStore
    ) -> None:
        await store.open([numbered(1)])
        assert await store.switch(FIRST, SWAPPED)
        await store.drop(ARTICLES)
        await store.open([ARTICLES])
        assert await roles_of(store) == {"articles": "building", "articles__1": "served"}

    async def test_g4_a_switch_to_what_is_not_there_gives_nobody_a_role(
        self, store: ReadStore
    ) -> None:
        after: dict[str, Role] = {"articles": "kept", "articles__1": "served"}
        assert not await store.switch({"articles": "served"}, after)
        assert await roles_of(store) == {"articles": "served"}

    async def test_g4_rows_and_all_beside_them_stay_where_they_are(self, store: ReadStore) -> None:
        await store.open([numbered(1)])
        await furnish(store, "articles", 3)
        await furnish(store, "articles__1", 5)
        before = await furniture(store, "articles", 3), await furniture(store, "articles__1", 5)
        assert await store.switch(FIRST, SWAPPED)
        after = await furniture(store, "articles", 3), await furniture(store, "articles__1", 5)
        assert after == before
        assert await store.generations("articles") == [
            Generation("articles", "kept", 3, "articles-1"),
            Generation("articles__1", "served", 5, "articles-made-1"),
        ]

    async def test_g4_a_role_outlasts_changes_and_another_open(self, store: ReadStore) -> None:
        await store.open([numbered(1)])
        assert await store.switch(FIRST, SWAPPED)
        await keep(store, Article("a"))
        await keep(store, Article("a"), projection="articles__1")
        await store.open([ARTICLES, numbered(1)])
        assert await roles_of(store) == SWAPPED

    async def test_g4_one_of_many_who_switch_at_once_succeeds(self, store: ReadStore) -> None:
        await store.open([numbered(number) for number in range(1, 9)])
        async with self.another(store) as other:
            stores = [store] if other is None else [store, other]
            attempts = [
                stores[number % len(stores)].switch(
                    {"articles": "served", f"articles__{number}": "building"},
                    {"articles": "kept", f"articles__{number}": "served"},
                )
                for number in range(1, 9)
            ]
            results = await outcomes(attempts)
            assert sorted(map(str, results)) == ["False"] * 7 + ["True"], (
                f"one of 8 had to succeed: {results}"
            )
            for one in stores:
                served = [name for name, role in (await roles_of(one)).items() if role == "served"]
                assert served == [f"articles__{results.index(True) + 1}"]

    async def test_g4_somebody_is_served_at_every_moment(self, store: ReadStore) -> None:
        await store.open([numbered(1)])
        back: dict[str, Role] = {"articles": "served", "articles__1": "kept"}
        done = False

        async def switch() -> None:
            nonlocal done
            assert await store.switch(FIRST, SWAPPED)
            for _ in range(15):
                assert await store.switch(SWAPPED, back)
                await asyncio.sleep(0)
                assert await store.switch(back, SWAPPED)
                await asyncio.sleep(0)
            done = True

        async def look(reader: ReadStore) -> None:
            while not done:
                roles = await roles_of(reader)
                assert list(roles.values()).count("served") == 1, f"the roles were {roles}"
                await asyncio.sleep(0)

        async with self.another(store) as other:
            work = [
                asyncio.create_task(one) for one in (look(store), look(other or store), switch())
            ]
            try:
                await self.soon(asyncio.gather(*work), "readers seeing the roles")
            finally:
                for task in work:
                    task.cancel()
                await outcomes(work)

    async def test_g5_what_was_dropped_is_gone(self, store: ReadStore) -> None:
        await store.open([numbered(1)])
        await furnish(store, "articles__1", 5)
        await park(store, parked("s", 1, because="skipped"), projection="articles__1")
        assert await store.switch(FIRST, SWAPPED)
        await store.drop(numbered(1))
        assert await roles_of(store) == {"articles": "kept"}
        because = "it was dropped"
        await refusal(ConfigurationError, store.load("articles__1", ["a-5"]), because)
        await refusal(ConfigurationError, store.checkpoint("articles__1"), because)
        await store.open([numbered(1)])
        assert await furniture(store, "articles__1", 5) == NOTHING
        assert await roles_of(store) == {"articles": "kept", "articles__1": "building"}
        await furnish(store, "articles__1", 6)
        assert (await store.checkpoint("articles__1")).position == 6

    async def test_g5_no_other_generation_is_touched(self, store: ReadStore) -> None:
        others = {"articles": 3, "articles__2": 4, "articles__11": 6}
        await store.open([numbered(number) for number in (1, 2, 11)])
        for name, at in {**others, "articles__1": 5}.items():
            await furnish(store, name, at)
        await keep(store, projection="notes")
        before = [await furniture(store, name, at) for name, at in others.items()]
        generations = await store.generations("articles")
        await store.drop(numbered(1))
        assert [await furniture(store, name, at) for name, at in others.items()] == before
        left = [one for one in generations if one.name != "articles__1"]
        assert await store.generations("articles") == left
        assert (await store.checkpoint("notes")).position == 1
        await self._still_work(store, others)

    async def _still_work(self, store: ReadStore, names: dict[str, int]) -> None:
        for name, at in names.items():
            words = Article("new", title=f"word {name}", stock=at + 50)
            await keep(store, words, projection=name)
            if Capability.FIND in store.capabilities:
                by_stock = where("stock", "=", at + 50)
                assert await found(store, *by_stock, projection=name) == ["new"]
            if Capability.FULL_TEXT in store.capabilities:
                assert await found(store, projection=name, search="word") == ["new"]

    async def test_g5_the_first_generation_goes_like_any_other(self, store: ReadStore) -> None:
        await store.open([numbered(1)])
        await furnish(store, "articles", 3)
        await furnish(store, "articles__1", 5)
        before = await furniture(store, "articles__1", 5)
        await store.drop(ARTICLES)
        assert await roles_of(store) == {"articles__1": "building"}
        assert await furniture(store, "articles__1", 5) == before
        await self._still_work(store, {"articles__1": 5})

    async def test_g5_dropping_what_is_not_there_does_nothing(self, store: ReadStore) -> None:
        await furnish(store, "articles", 3)
        before = await furniture(store, "articles", 3)
        await store.drop(numbered(1))
        await store.open([numbered(1)])
        await store.drop(numbered(1))
        await store.drop(numbered(1))
        assert await furniture(store, "articles", 3) == before
        assert await roles_of(store) == {"articles": "served"}

    async def test_g5_another_object_sees_that_it_is_gone(self, store: ReadStore) -> None:
        await store.open([numbered(1)])
        await furnish(store, "articles__1", 5)
        async with self.another(store) as other:
            if other is not None:
                # Nobody has opened it there: what is dropped need not be in use.
                await other.drop(numbered(1))
                assert await roles_of(store) == {"articles": "served"}
                await other.open([numbered(1)])
                assert await furniture(other, "articles__1", 5) == NOTHING

    async def test_g5_own_tables_go_with_their_generation(self, store: ReadStore) -> None:
        if Capability.SQL not in store.capabilities:
            return
        await store.open(
            [_counts("counts", "suite_counts"), _counts("counts__1", "suite_counts_1")]
        )
        for name, table in (("counts", "suite_counts"), ("counts__1", "suite_counts_1")):
            insert = Statement(f"INSERT INTO {table} (n) VALUES (1)")  # noqa: S608
            await store.apply([Change(name, 0, 1, statements=[insert])])
        await store.drop(_counts("counts__1", "suite_counts_1"))
        assert await store.select("SELECT n FROM suite_counts") == [{"n": 1}]
        (result,) = await outcomes([store.select("SELECT n FROM suite_counts_1")])
        assert isinstance(result, Exception), f"the table is still there, with {result}"
        await store.open([NOTES, _counts("counts__1", "suite_counts_1")])
        assert await store.select("SELECT n FROM suite_counts_1") == []


def _counts(name: str, table: str) -> TableSpec:
    return TableSpec(name, "1", schema=(f"CREATE TABLE {table} (n INTEGER)",), tables=(table,))
