"""Rows that the database computes: the capability VIEW (G10)."""

# ruff: noqa: D102  the name of a test is its sentence

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date
from typing import Any, NamedTuple

import msgspec
import pytest

from diptych.errors import ConfigurationError
from diptych.events.log import EventLog
from diptych.queries.read_model import ReadModel, shape_of
from diptych.queries.read_store import (
    Capability,
    Filter,
    Find,
    ReadStore,
    TableSpec,
    ViewKept,
    ViewSpec,
)
from diptych.testing.contract.event_log.words import add, fact
from diptych.testing.contract.suite import Contract, refusal

__all__ = ["ViewContract", "Viewed"]


class Bought(msgspec.Struct):
    """One line of a bill."""

    product: str
    quantity: int


class Bill(ReadModel, key="bill", indexes=("pieces", "day"), search=("guest",)):
    """What a guest had, computed from two tables."""

    bill: str
    guest: str
    paid: bool
    day: date | None
    pieces: int
    lines: list[Bought]


TABLES = (
    "CREATE TABLE bills_paid (id TEXT PRIMARY KEY, guest TEXT NOT NULL, paid BOOLEAN, day DATE)",
    "CREATE TABLE bill_lines (bill TEXT, product TEXT, quantity INT)",
)
SELECT = """
SELECT b.id AS bill, b.guest, b.paid, b.day, CAST(coalesce(sum(l.quantity), 0) AS INT) AS pieces,
    coalesce({array} FILTER (WHERE l.bill IS NOT NULL), '[]') AS lines
FROM bills_paid AS b LEFT JOIN bill_lines AS l ON l.bill = b.id
GROUP BY b.id, b.guest, b.paid, b.day
"""
SELECTS = {
    "sqlite": SELECT.format(
        array="json_group_array(json_object('product', product, 'quantity', quantity) "
        "ORDER BY product)"
    ),
    "postgresql": SELECT.format(
        array="jsonb_agg(jsonb_build_object('product', product, 'quantity', quantity) "
        "ORDER BY product)"
    ),
}


def view(kept: ViewKept) -> TableSpec:
    """The view, kept in one of the three ways."""
    return TableSpec(f"bills_{kept}", "1", shape_of(Bill), view=ViewSpec(SELECTS, kept))


VIEWS = [view("query"), view("view"), view("materialized")]
NAMES = [one.name for one in VIEWS]
MATERIALIZED = NAMES[2]


class Viewed(NamedTuple):
    """A log and a read store in the same database."""

    log: EventLog
    store: ReadStore


class ViewContract(Contract):
    """Views show what their tables hold. Enrol a log and a store in one database:

    ```python
    class TestMyViews(ViewContract):
        async def make_pair(self) -> Viewed:
            file = self.folder / "both.db"
            return Viewed(MyEventLog(file), MyReadStore(file))

        async def execute(self, statement: str) -> None: ...
    ```
    """

    async def make_pair(self) -> Viewed:
        """A new, empty log and a new, empty read store in the same database, not yet open."""
        raise NotImplementedError

    async def execute(self, statement: str) -> None:
        """Run and commit one statement in that database, as another program would."""
        raise NotImplementedError

    @asynccontextmanager
    async def subject(self) -> AsyncIterator[Viewed]:
        """A log and a store, open, with views over two tables."""
        log, store = await self.make_pair()
        assert Capability.VIEW in store.capabilities, "the store does not declare VIEW"
        await log.open()
        try:
            for statement in TABLES:
                await self.execute(statement)
            await store.open(VIEWS)
            yield Viewed(log, store)
        finally:
            await store.close()
            await log.close()

    @pytest.fixture
    async def viewed(self) -> AsyncIterator[Viewed]:
        """What each test judges."""
        async with self.subject() as viewed:
            yield viewed

    async def bill(self, bill: str, guest: str = "Ada", paid: str = "TRUE") -> None:
        """Write one bill."""
        await self.execute(
            f"INSERT INTO bills_paid VALUES ('{bill}', '{guest}', {paid}, '2026-01-02')"  # noqa: S608
        )

    async def line(self, bill: str, product: str, quantity: int) -> None:
        """Write one line."""
        await self.execute(f"INSERT INTO bill_lines VALUES ('{bill}', '{product}', {quantity})")  # noqa: S608

    @pytest.mark.parametrize("name", NAMES[:2])
    async def test_g10_a_view_shows_every_commit(self, viewed: Viewed, name: str) -> None:
        assert await self._found(viewed, name) == []
        await self.bill("b1")
        await self.line("b1", "tea", 2)
        await self.line("b1", "cake", 1)
        shown = Bill("b1", "Ada", True, date(2026, 1, 2), 3, [Bought("cake", 1), Bought("tea", 2)])
        assert await self._found(viewed, name) == [shown]
        assert (await viewed.store.load(name, ["b1", "b2"])).rows["b1"].value == shown
        await self.execute("UPDATE bills_paid SET paid = FALSE, day = NULL")
        (changed,) = await self._found(viewed, name)
        assert (changed.paid, changed.day) == (False, None)
        await self.execute("DELETE FROM bills_paid")
        assert await self._found(viewed, name) == []

    async def test_g10_a_materialized_view_shows_the_moment_of_its_refresh(
        self, viewed: Viewed
    ) -> None:
        await self.bill("b1")
        assert await self._found(viewed, MATERIALIZED) == []
        await viewed.store.refresh(MATERIALIZED)
        assert [bill.bill for bill in await self._found(viewed, MATERIALIZED)] == ["b1"]
        await self.bill("b2")
        await self.execute("DELETE FROM bills_paid WHERE id = 'b1'")
        assert [bill.bill for bill in await self._found(viewed, MATERIALIZED)] == ["b1"]
        await viewed.store.refresh(MATERIALIZED)
        assert [bill.bill for bill in await self._found(viewed, MATERIALIZED)] == ["b2"]

    async def test_g10_a_refresh_swaps_all_rows_at_once(self, viewed: Viewed) -> None:
        for number in range(50):
            await self.bill(f"b{number:02}", paid="FALSE")
        await viewed.store.refresh(MATERIALIZED)
        await self.execute("UPDATE bills_paid SET paid = TRUE")
        refreshing = asyncio.create_task(viewed.store.refresh(MATERIALIZED))
        seen: set[tuple[bool, int]] = set()
        while not refreshing.done():
            bills = await self._found(viewed, MATERIALIZED)
            seen |= {(bill.paid, len(bills)) for bill in bills}
            assert len({bill.paid for bill in bills}) == 1, "old rows beside new ones"
            await asyncio.sleep(0)
        await refreshing
        assert seen <= {(False, 50), (True, 50)}
        assert {bill.paid for bill in await self._found(viewed, MATERIALIZED)} == {True}

    @pytest.mark.parametrize("name", NAMES)
    async def test_g10_the_checkpoint_is_the_position_that_the_rows_show(
        self, viewed: Viewed, name: str
    ) -> None:
        log, store = viewed
        await log.append(add("a", fact(1), fact(2)))
        standing = 0 if name == MATERIALIZED else 2
        assert (await store.checkpoint(name)).position == standing
        assert (await store.load(name, [])).checkpoint == standing
        assert await store.refresh(name) == 2
        assert (await store.checkpoint(name)).position == 2
        assert (await store.load(name, [])).checkpoint == 2

    @pytest.mark.parametrize("name", NAMES)
    async def test_g10_rows_are_found_as_in_any_read_model(self, viewed: Viewed, name: str) -> None:
        for number, guest in enumerate(["Ada", "Bob", "Ada Two"]):
            await self.bill(f"b{number}", guest)
            await self.line(f"b{number}", "tea", 10 - number)
        await viewed.store.refresh(name)
        store = viewed.store
        found = await store.find(name, Find(order_by="pieces"))
        assert [row.key for row in found] == ["b2", "b1", "b0"]
        assert await store.count(name, (Filter("pieces", ">", 8),)) == 2
        ada = await store.find(name, Find(search="ad", order_by="pieces", limit=1))
        assert [row.key for row in ada] == ["b2"]
        assert [row.key for row in await store.find(name, Find(after_key="b0"))] == ["b1", "b2"]

    async def test_g10_what_is_no_view_is_not_refreshed(self, viewed: Viewed) -> None:
        plain = TableSpec("plain", "1", shape_of(Bill))
        await viewed.store.open([plain])
        await refusal(ConfigurationError, viewed.store.refresh("plain"), "plain is no view")

    async def _found(self, viewed: Viewed, name: str) -> Sequence[Any]:
        return [row.value for row in await viewed.store.find(name, Find())]
