"""Read models that the database computes from the tables beside the log."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import apsw
import msgspec
import pytest

from diptych import App, Command, Event, Projection, Query, Reader, ReadModel, View
from diptych.commands.aggregate import Aggregate
from diptych.errors import ConfigurationError


class Line(msgspec.Struct):
    product: str
    quantity: int


class CustomerPage(
    ReadModel, key="customer_id", indexes=("orders", "last_at", "vip"), search=("name",)
):
    customer_id: str
    name: str
    orders: int
    vip: bool | None
    last_at: datetime | None
    spent: Decimal
    lines: list[Line]


TABLES = """
CREATE TABLE IF NOT EXISTS customers (id TEXT PRIMARY KEY, name TEXT NOT NULL, vip INT);
CREATE TABLE IF NOT EXISTS purchases
    (customer TEXT, product TEXT, quantity INT, at TEXT, cost TEXT);
"""

SELECT = """
SELECT c.id AS customer_id, c.name, count(p.product) AS orders, c.vip, max(p.at) AS last_at,
       CAST(coalesce(sum(p.cost), 0) AS TEXT) AS spent,
       json_group_array(json_object('product', p.product, 'quantity', p.quantity) ORDER BY p.rowid)
           FILTER (WHERE p.product IS NOT NULL) AS lines
FROM customers AS c LEFT JOIN purchases AS p ON p.customer = c.id
GROUP BY c.id
"""


class Computed(View[CustomerPage]):
    sql = SELECT


class Asked(View[CustomerPage], kept="query"):
    sql = {"sqlite": SELECT + ";", "postgresql": "SELECT nothing"}


class Bought(Event):
    shop: str


class Looked(Event):
    shop: str


class Buy(Command):
    shop: str


class Look(Command):
    shop: str


class Shop(Aggregate, key="shop"):
    def buy(self, command: Buy) -> Bought:
        return Bought(command.shop)

    def look(self, command: Look) -> Looked:
        return Looked(command.shop)

    def bought(self, event: Bought) -> None:
        pass

    def looked(self, event: Looked) -> None:
        pass


class Refreshed(View[CustomerPage], kept="materialized"):
    sql = SELECT


class Following(Refreshed):
    refreshed_after = (Bought,)


class Tally(ReadModel, key="shop"):
    shop: str


class Tallies(Projection[Tally]):
    def bought(self, row: Tally, event: Bought) -> None:
        pass


class GetCustomer(Query[CustomerPage | None]):
    customer_id: str


class FindCustomers(Query[list[CustomerPage]]):
    least: int = 0


class SearchCustomers(Query[list[CustomerPage]]):
    text: str


async def get_customer(query: GetCustomer, pages: Reader[CustomerPage]) -> CustomerPage | None:
    return await pages.get(query.customer_id)


async def find_customers(query: FindCustomers, pages: Reader[CustomerPage]) -> list[CustomerPage]:
    return await pages.find(orders__gte=query.least, order_by="-orders")


async def search_customers(
    query: SearchCustomers, pages: Reader[CustomerPage]
) -> list[CustomerPage]:
    return await pages.search(query.text, limit=1)


QUERIES = [get_customer, find_customers, search_customers]


@pytest.fixture
def tables(tmp_path):
    connection = apsw.Connection(str(tmp_path / "shop.db"))
    connection.execute("PRAGMA journal_mode = wal")
    connection.execute(TABLES)
    connection.execute(
        "INSERT INTO customers VALUES ('c1', 'Ada Lovelace', 1), ('c2', 'Bob', NULL)"
    )
    yield connection
    connection.close()


def buy(tables, customer, product, quantity=1, cost="1.50", at="2026-01-02T03:04:05Z"):
    tables.execute(
        "INSERT INTO purchases VALUES (?, ?, ?, ?, ?)", (customer, product, quantity, at, cost)
    )


def app_with(tmp_path, *views, **options):
    return App("views", [Shop, *views, *QUERIES], write=f"sqlite:///{tmp_path}/shop.db", **options)


@pytest.mark.parametrize("view", [Computed, Asked])
async def test_a_query_shows_every_commit_without_anything_being_kept(tmp_path, tables, view):
    async with app_with(tmp_path, view) as app:
        assert await app.ask(GetCustomer("c1")) == CustomerPage(
            "c1", "Ada Lovelace", 0, True, None, Decimal(0), []
        )
        buy(tables, "c1", "tea", 2)
        buy(tables, "c1", "pot")
        at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        assert await app.ask(GetCustomer("c1")) == CustomerPage(
            "c1", "Ada Lovelace", 2, True, at, Decimal(3), [Line("tea", 2), Line("pot", 1)]
        )
        assert [page.customer_id for page in await app.ask(FindCustomers())] == ["c1", "c2"]
        assert [page.vip for page in await app.ask(FindCustomers(2))] == [True]
        assert [page.name for page in await app.ask(SearchCustomers("love"))] == ["Ada Lovelace"]
        assert await app.ask(GetCustomer("nobody")) is None


async def test_a_token_never_has_to_wait_for_a_view(tmp_path, tables):
    async with app_with(tmp_path, Computed) as app:
        done = await app.dispatch(Buy("s"))
        assert await app.ask(GetCustomer("c2"), after=done, within_s=0) is not None
        (status,) = await app.status()
        assert (status.mode, status.state, status.lag_events) == ("view", "live", 0)


async def test_a_materialized_view_is_as_new_as_its_last_refresh(tmp_path, tables):
    async with app_with(tmp_path, Refreshed) as app:
        buy(tables, "c2", "tea")
        assert (await app.ask(GetCustomer("c2"))).orders == 0
        await app.refresh(Refreshed)
        assert (await app.ask(GetCustomer("c2"))).orders == 1
        tables.execute("DELETE FROM customers WHERE id = 'c2'")
        await app.refresh("refreshed")
        assert await app.ask(GetCustomer("c2")) is None
        assert [page.name for page in await app.ask(SearchCustomers("ada"))] == ["Ada Lovelace"]


async def test_a_token_refreshes_a_materialized_view_that_is_older(tmp_path, tables):
    async with app_with(tmp_path, Refreshed) as app:
        done = await app.dispatch(Buy("s"))
        buy(tables, "c2", "tea")
        assert (await app.status())[0].state == "behind"
        assert (await app.ask(GetCustomer("c2"), after=done)).orders == 1
        assert (await app.status())[0].state == "live"
        await app.settle()


async def test_the_write_models_consistency_refreshes_at_once(tmp_path, tables):
    async with app_with(tmp_path, Refreshed) as app:
        buy(tables, "c2", "tea")
        assert (await app.ask(GetCustomer("c2"), consistency="write_model")).orders == 1


async def test_given_events_refresh_it_and_others_do_not(tmp_path, tables):
    async with app_with(tmp_path, Following) as app:
        refreshed, happened = [], asyncio.Event()
        store = app.sources[Following].store
        refresh = store.refresh

        async def counted(view):
            refreshed.append(view)
            position = await refresh(view)
            happened.set()
            return position

        store.refresh = counted
        buy(tables, "c2", "tea")
        await app.dispatch(Look("s"))
        await app.dispatch(Look("s"))
        await app.dispatch(Buy("s"))
        async with asyncio.timeout(20):
            await happened.wait()
        assert (await app.ask(GetCustomer("c2"))).orders == 1
        assert refreshed == ["following"]


async def test_many_who_ask_at_once_share_a_refresh_that_began_after_they_asked(tmp_path, tables):
    async with app_with(tmp_path, Refreshed) as app:
        store = app.sources[Refreshed].store
        refresh, times, begun = store.refresh, [], asyncio.Event()

        async def counted(view):
            times.append(view)
            position = await refresh(view)
            begun.set()
            await asyncio.sleep(0)  # it has looked, and is not done
            return position

        store.refresh = counted
        first = asyncio.create_task(app.refresh(Refreshed))
        await begun.wait()
        buy(tables, "c1", "tea")  # too late for the one that has begun
        await asyncio.gather(first, *(app.refresh(Refreshed) for _ in range(10)))
        assert len(times) == 2
        assert (await app.ask(GetCustomer("c1"))).orders == 1


async def test_readers_see_all_old_rows_or_all_new_ones(tmp_path, tables):
    tables.execute("DELETE FROM customers")
    for number in range(300):
        tables.execute("INSERT INTO customers VALUES (?, 'x', 0)", (f"{number:03}",))
    async with app_with(tmp_path, Refreshed) as app:
        tables.execute("INSERT INTO purchases SELECT id, 'tea', 1, NULL, '1' FROM customers")
        refreshing = asyncio.create_task(app.refresh(Refreshed))
        seen = set()
        while not refreshing.done():
            pages = await app.ask(FindCustomers())
            seen.add(tuple(sorted({page.orders for page in pages})))
            await asyncio.sleep(0)
        assert seen <= {(0,), (1,)}
        assert {page.orders for page in await app.ask(FindCustomers())} == {1}


async def test_a_changed_select_is_noticed_when_the_application_opens(tmp_path, tables):
    async with app_with(tmp_path, Refreshed) as app:
        assert (await app.ask(GetCustomer("c2"))).name == "Bob"

    class Renamed(View[CustomerPage], kept="materialized"):
        sql = SELECT.replace("c.name", "upper(c.name) AS name")

    class Shown(View[CustomerPage]):
        sql = SELECT.replace("c.name", "upper(c.name) AS name")

    Renamed.__name__ = "Refreshed"
    Shown.__name__ = "Computed"
    async with app_with(tmp_path, Renamed) as app:
        assert (await app.ask(GetCustomer("c2"))).name == "BOB"
    for view, name in ((Computed, "Bob"), (Shown, "BOB")):
        async with app_with(tmp_path, view) as app:
            assert (await app.ask(GetCustomer("c2"))).name == name


async def test_people_read_a_view_by_its_columns(tmp_path, tables):
    async with app_with(tmp_path, Computed):
        rows = tables.execute("SELECT name, orders FROM computed ORDER BY name").fetchall()
        assert rows == [("Ada Lovelace", 0), ("Bob", 0)]


@pytest.mark.parametrize("kept", ["query", "view", "materialized"])
@pytest.mark.parametrize(
    ("select", "what"),
    [
        ("SELECT id AS customer_id, name FROM customers", "no such column"),
        ("SELECT * FROM nowhere", "no such table"),
    ],
)
async def test_a_select_that_cannot_work_is_refused_on_opening(
    tmp_path, tables, kept, select, what
):
    class Wrong(View[CustomerPage], kept=kept):
        sql = select

    with pytest.raises(ConfigurationError, match=what):
        await app_with(tmp_path, Wrong).open()


async def test_what_makes_no_sense_is_refused_when_the_application_is_built(tmp_path):
    with pytest.raises(ConfigurationError, match="memory"):
        App("views", [Computed])
    with pytest.raises(ConfigurationError, match="Leave it out of inline"):
        app_with(tmp_path, Computed, inline=[Computed])
    with pytest.raises(ConfigurationError, match="Leave it out of read"):
        app_with(tmp_path, Computed, read={Computed: f"sqlite:///{tmp_path}/other.db"})
    with pytest.raises(ConfigurationError, match="two projections"):
        app_with(tmp_path, Computed, Asked)

    class Silent(View[CustomerPage]):
        pass

    class Eager(View[CustomerPage]):
        sql = SELECT
        refreshed_after = (Bought,)

    for view, what in ((Silent, "must say what it shows"), (Eager, "always as new")):
        with pytest.raises(ConfigurationError, match=what):
            app_with(tmp_path, view)


async def test_a_projection_cannot_be_refreshed(tmp_path, tables):
    async with app_with(tmp_path, Refreshed, Tallies) as app:
        with pytest.raises(ConfigurationError, match="follows the log by itself"):
            await app.refresh(Tallies)
