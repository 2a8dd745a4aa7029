"""Plans of PostgreSQL: rows are looked up by index, also by statements older than the rows."""

from __future__ import annotations

import asyncpg
import pytest

from diptych.adapters.postgres.finding import find_sql
from diptych.adapters.postgres.read_store import PostgresReadStore
from diptych.queries.read_model import ReadModel, shape_of
from diptych.queries.read_store import Change, Filter, Find, Row, TableSpec

pytestmark = pytest.mark.anyio


class Book(ReadModel, key="isbn", indexes=("author", "pages"), search=("title",)):
    isbn: str
    title: str = ""
    author: str = ""
    pages: int | None = None


BOOKS = TableSpec("books", "1", shape_of(Book))


@pytest.fixture
async def store(postgres_url):
    store = PostgresReadStore(postgres_url)
    await store.open([BOOKS])
    for pool in (store._database._keyed.use(), store._database.writing()):
        async with pool as connection:  # whatever PostgreSQL thinks of it, the first plan is kept
            await connection.execute("SET plan_cache_mode = force_generic_plan")
    yield store
    await store.close()


def books(first, last, after):
    made = (Book(f"b{n:06}", f"title {n}", f"author {n % 997}", n) for n in range(first, last))
    return Change("books", after, after + 1, [Row(book.isbn, after + 1, book) for book in made])


async def kept_plan(connection, statement, arguments):
    """The plan that PostgreSQL has kept for a statement which it has seen before."""
    found = await connection.fetch(
        "SELECT name, generic_plans FROM pg_prepared_statements WHERE statement = $1", statement
    )
    assert found, "the statement was not prepared: nothing to be proud of"
    assert found[0]["generic_plans"] > 0, "its plan is not a kept one"
    literals = ", ".join(map(as_literal, arguments))
    plan = await connection.fetch(f'EXPLAIN EXECUTE "{found[0]["name"]}" ({literals})')
    return "\n".join(line[0] for line in plan)


def as_literal(value):
    if isinstance(value, list):
        return f"ARRAY[{', '.join(map(as_literal, value))}]"
    return str(value) if isinstance(value, int) else f"'{value}'"


@pytest.mark.parametrize("count", [3, 200])
async def test_a_load_planned_on_a_tiny_table_uses_the_index_when_it_is_large(store, count):
    await store.apply([books(0, 60, 0)])
    async with store._database.writing() as connection:
        await connection.execute(f"ANALYZE {store._projections.row_table('books').qualified}")
    keys = [f"b{n * 7:06}" for n in range(count)]
    for _ in range(8):
        await store.load("books", keys)
    await store.apply([books(60, 20_000, 1)])
    assert len((await store.load("books", keys)).rows) == count
    table = store._projections.row_table("books")
    async with store._database._keyed.use() as connection:
        plan = await kept_plan(connection, table.load, [keys])
    assert "Index Scan using books_pkey" in plan, plan
    assert "Seq Scan on books" not in plan, plan


async def test_a_deletion_planned_on_a_tiny_table_uses_the_index_when_it_is_large(store):
    await store.apply([books(0, 60, 0)])
    for at in range(1, 9):
        await store.apply([Change("books", at, at + 1, deleted=[f"b{at:06}"])])
    await store.apply([books(60, 20_000, 9)])
    async with store._database.writing() as connection:
        table = store._projections.row_table("books")
        await connection.execute(table.delete, ["x"])
        plan = await kept_plan(connection, table.delete, [["b000100", "b000200"]])
    assert "Seq Scan" not in plan, plan


async def test_an_upsert_scans_nothing(store):
    for at in range(8):
        await store.apply([books(at, at + 1, at)])
    await store.apply([books(60, 20_000, 8)])
    table = store._projections.row_table("books")
    arguments = [9, 10, "1", 0, [1], ["b1"], ["t"], ["a"], [1], ["w"]]
    async with store._database.writing() as connection:
        plan = await kept_plan(connection, table.fenced_upsert, arguments)
    assert "Scan on books" not in plan, plan
    assert "Conflict Resolution: UPDATE" in plan
    assert "Seq Scan" not in plan, plan


@pytest.mark.parametrize(
    "find",
    [
        Find((Filter("author", "=", "author 3"),)),
        Find((Filter("author", "in", ["author 3", "author 4"]),)),
        Find((Filter("pages", ">", 30), Filter("pages", "<", 90))),
        Find(order_by="pages", limit=5),
        Find(order_by="pages", descending=True, limit=5),
        Find(order_by="author", descending=True, limit=5),
        Find(after_key="b000300", limit=5),
        Find(search="777"),
    ],
)
async def test_finding_uses_the_declared_indexes(store, postgres_url, find):
    await store.apply([books(0, 20_000, 0)])
    statement, parameters = find_sql(store._projections.row_table("books"), find)
    # Whether an index can serve the statement, not whether it is cheaper for so few rows.
    settings = {"enable_seqscan": "off"}
    connection = await asyncpg.connect(postgres_url.partition("?")[0], server_settings=settings)
    plan = await connection.fetch(f"EXPLAIN {statement}", *parameters)
    await connection.close()
    text = "\n".join(line[0] for line in plan)
    assert "books_by_" in text or "books_pkey" in text, text
    assert "Seq Scan" not in text, text
    if find.order_by is None and find.search is None:
        assert "Filter" not in text.replace("Index", ""), text
