"""What a store declares it can do, and what it refuses (G9); own SQL where there is any."""

# ruff: noqa: D102  the name of a test is its sentence

from __future__ import annotations

from typing import Any, ClassVar

from diptych.errors import CheckpointMoved, ConfigurationError
from diptych.queries.read_store import (
    Capability,
    Change,
    CheckpointInfo,
    Find,
    ReadStore,
    Statement,
    TableSpec,
)
from diptych.testing.contract.read_store.words import (
    ARTICLES,
    NOTES,
    Article,
    Note,
    change,
    fetch,
    keep,
    where,
)
from diptych.testing.contract.read_store.writing import Writing
from diptych.testing.contract.suite import outcomes, refusal

__all__ = ["Abilities"]


class Abilities(Writing):
    """Tests of G9, and of G1, G2, G6 and G8 for projections that write their own SQL."""

    sql_schema: ClassVar[str] = "CREATE TABLE suite_totals (name TEXT PRIMARY KEY, total INTEGER)"
    sql_insert: ClassVar[str] = "INSERT INTO suite_totals (name, total) VALUES (?, ?)"
    sql_update: ClassVar[str] = "UPDATE suite_totals SET total = total + ? WHERE name = ?"
    sql_delete: ClassVar[str] = "DELETE FROM suite_totals"
    sql_select: ClassVar[str] = "SELECT name, total FROM suite_totals WHERE total > ? ORDER BY name"

    def _totals(self, fingerprint: str = "1") -> TableSpec:
        return TableSpec("totals", fingerprint, schema=(self.sql_schema,), tables=("suite_totals",))

    async def has_sql(self, store: ReadStore) -> bool:
        """Whether the store declares SQL; one that does not must refuse all of it."""
        if Capability.SQL in store.capabilities:
            await store.open([self._totals()])
            return True
        await refusal(ConfigurationError, store.open([self._totals()]), "SQL is not declared")
        await refusal(ConfigurationError, store.select("SELECT 1"), "SQL is not declared")
        with_sql = Change("articles", 0, 1, statements=[Statement("SELECT 1")])
        await refusal(ConfigurationError, store.apply([with_sql]), "SQL is not declared")
        assert (await store.checkpoint("articles")).position == 0, "a refused change was written"
        return False

    async def _select(self, store: ReadStore) -> dict[str, Any]:
        rows = await store.select(self.sql_select, (-1_000,))
        return {row["name"]: row["total"] for row in rows}

    def _insert(self, after: int, upto: int, **totals: int | None) -> Change:
        statements = [Statement(self.sql_insert, pair) for pair in totals.items()]
        return Change("totals", after, upto, statements=statements)

    async def test_g9_abilities_do_not_change(self, store: ReadStore) -> None:
        before = store.capabilities
        assert all(isinstance(one, Capability) for one in before)
        await keep(store, Article("a"))
        assert store.capabilities == before
        await store.close()
        assert store.capabilities == before

    async def test_g9_what_is_not_declared_is_refused(self, store: ReadStore) -> None:
        able = store.capabilities
        if Capability.FIND not in able:
            await refusal(ConfigurationError, store.find("articles", Find()), "no FIND")
            await refusal(ConfigurationError, store.count("articles"), "no FIND")
        if Capability.FULL_TEXT not in able:
            find = Find(search="word")
            await refusal(ConfigurationError, store.find("articles", find), "no FULL_TEXT")
        await self.has_sql(store)
        if Capability.INLINE not in able and hasattr(store, "within"):
            await refusal(ConfigurationError, _within_nothing(store), "no INLINE")

    async def test_g9_a_store_joins_only_transactions_of_its_own_kind(
        self, store: ReadStore
    ) -> None:
        if Capability.INLINE in store.capabilities:
            await refusal(ConfigurationError, _within_nothing(store), "that is no transaction")

    async def test_g9_undeclared_fields_are_refused(self, store: ReadStore) -> None:
        await keep(store, Article("a", title="t"))
        for field in ("nothing", "tags", "title; --"):
            by = Find(order_by=field)
            await refusal(ConfigurationError, store.find("articles", by), f"no field {field!r}")
            filters = where(field, "=", "t")
            find = Find(filters)
            await refusal(ConfigurationError, store.find("articles", find), f"no field {field!r}")
            await refusal(
                ConfigurationError, store.count("articles", filters), f"no field {field!r}"
            )

    async def test_g9_searching_rows_without_search_fields_is_refused(
        self, store: ReadStore
    ) -> None:
        await keep(store, Note("n", text="word"), projection="notes")
        find = Find(search="word")
        await refusal(ConfigurationError, store.find("notes", find), "notes have no search fields")

    async def test_g9_unknown_projections_are_refused(self, store: ReadStore) -> None:
        because = "the store was not opened for it"
        await refusal(ConfigurationError, store.load("unknown", ["a"]), because)
        await refusal(ConfigurationError, store.checkpoint("unknown"), because)
        unknown = change(0, 1, projection="unknown")
        await refusal(ConfigurationError, store.apply([unknown]), because)

    async def test_g1_statements_and_rows_change_together(self, store: ReadStore) -> None:
        if not await self.has_sql(store):
            return
        await store.apply([self._insert(0, 2, ann=1, bob=None), change(0, 2, Article("a"))])
        add = Statement(self.sql_update, (5, "ann"))
        await store.apply([Change("totals", 2, 3, statements=[add, add])])
        assert await self._select(store) == {"ann": 11}, "None > -1000 is not true in SQL"
        assert await store.checkpoint("totals") == CheckpointInfo(3, "1")
        assert await fetch(store, "a") == Article("a")

    async def test_g1_a_failing_statement_keeps_all_from_being_written(
        self, store: ReadStore
    ) -> None:
        if not await self.has_sql(store):
            return
        await store.apply([self._insert(0, 1, ann=1)])
        wrong = Change(
            "totals",
            1,
            2,
            statements=[
                Statement(self.sql_insert, ("bob", 2)),
                Statement(self.sql_insert, ("ann", 3)),
            ],
        )
        (result,) = await outcomes([store.apply([change(0, 2, Article("a")), wrong])])
        assert isinstance(result, Exception), "a broken primary key has to be an error"
        assert await self._select(store) == {"ann": 1}
        assert (await store.checkpoint("totals")).position == 1
        assert (await store.checkpoint("articles")).position == 0
        assert await fetch(store, "a") is None
        await store.apply([self._insert(1, 2, bob=2)])
        assert await self._select(store) == {"ann": 1, "bob": 2}

    async def test_g2_statements_stand_behind_the_fence(self, store: ReadStore) -> None:
        if not await self.has_sql(store):
            return
        await store.apply([self._insert(0, 1, ann=0)])
        add = Change("totals", 1, 2, statements=[Statement(self.sql_update, (1, "ann"))])
        results = await outcomes(store.apply([add]) for _ in range(8))
        lost = [result for result in results if isinstance(result, CheckpointMoved)]
        assert len(lost) == 7
        assert await self._select(store) == {"ann": 1}, "an addition was done twice"

    async def test_g6_own_tables_are_made_anew_by_a_reset(self, store: ReadStore) -> None:
        if not await self.has_sql(store):
            return
        await store.apply([self._insert(0, 4, ann=1)])
        await store.reset(self._totals("2"))
        assert await self._select(store) == {}
        assert await store.checkpoint("totals") == CheckpointInfo(0, "")
        await store.apply([self._insert(0, 4, ann=2)])
        assert await self._select(store) == {"ann": 2}
        assert await store.checkpoint("totals") == CheckpointInfo(4, "2")

    async def test_g8_own_tables_are_kept(self, store: ReadStore) -> None:
        if not await self.has_sql(store):
            return
        await store.apply([self._insert(0, 1, ann=1)])
        async with self.another(store) as other:
            if other is not None:
                await other.open([ARTICLES, NOTES, self._totals()])
                assert await self._select(other) == {"ann": 1}
                assert await other.checkpoint("totals") == CheckpointInfo(1, "1")

    async def test_g9_a_selection_cannot_write(self, store: ReadStore) -> None:
        if not await self.has_sql(store):
            return
        await store.apply([self._insert(0, 1, ann=1)])
        for writing in (
            self.sql_delete,
            f"{self.sql_delete} RETURNING name",
            "DROP TABLE suite_totals",
            f"SELECT 1; {self.sql_delete}",
            "CREATE TABLE suite_other (name TEXT)",
        ):
            (result,) = await outcomes([store.select(writing)])
            assert isinstance(result, Exception), f"select ran {writing!r}"
            assert await self._select(store) == {"ann": 1}, f"select wrote with {writing!r}"


async def _within_nothing(store: Any) -> Any:
    return store.within(object())
