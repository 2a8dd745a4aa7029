"""What is kept beside rows in a file: files of before, names of neighbours, the file's lock."""

from __future__ import annotations

import asyncio

import pytest

from diptych.adapters.sqlite import read_store as module
from diptych.adapters.sqlite.parking import parked_sql
from diptych.adapters.sqlite.read_store import SqliteReadStore
from diptych.adapters.sqlite.statements import sql
from diptych.errors import ConfigurationError, LeaseLost
from diptych.queries.parked import Parked
from diptych.queries.read_model import ReadModel, shape_of
from diptych.queries.read_store import (
    Change,
    CheckpointInfo,
    Find,
    Lease,
    LeaseSwap,
    Row,
    TableSpec,
    ViewSpec,
)


class Book(ReadModel, key="isbn", indexes=("author",), search=("title",)):
    isbn: str
    title: str = ""
    author: str = ""


class Plain(ReadModel, key="isbn"):
    isbn: str
    title: str = ""


BOOKS = TableSpec("books", "1", shape_of(Book))
NEXT = TableSpec("books__1", "2", shape_of(Book))
MINE = [LeaseSwap("books", Lease(), Lease(1, "me"))]
SCHEMA_1 = """
CREATE TABLE read_store (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    schema_version INTEGER NOT NULL
) STRICT;
CREATE TABLE checkpoints (
    projection TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    fingerprint TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO read_store (only, schema_version) VALUES (1, 1);
CREATE TABLE "books" (key TEXT PRIMARY KEY, position INTEGER NOT NULL, row TEXT NOT NULL)
STRICT, WITHOUT ROWID;
INSERT INTO checkpoints (projection, position, fingerprint) VALUES ('books', 7, '1');
INSERT INTO books (key, position, row) VALUES ('1', 7, '{"isbn":"1","title":"Emma"}');
"""


def put(*books, after=0, projection="books", **more):
    rows = [Row(book.isbn, after + 1, book) for book in books]
    return Change(projection, after, after + 1, rows, **more)


def names_in(other):
    return {name for (name,) in other.execute("SELECT name FROM sqlite_schema")}


@pytest.fixture
async def store(path):
    store = SqliteReadStore(path)
    await store.open([BOOKS])
    yield store
    await store.close()


async def test_a_file_of_schema_1_is_brought_up_to_date(path, other):
    other.execute(SCHEMA_1)
    plain = TableSpec("books", "1", shape_of(Plain))
    for turn in range(2):
        store = SqliteReadStore(path)
        await store.open([plain])
        assert (await store.load("books", ["1"])).rows["1"].value == Plain("1", "Emma")
        lease = Lease(turn, "me" * turn)
        assert await store.checkpoint("books") == CheckpointInfo(7, "1", lease, bool(turn))
        assert await store.swap_leases([LeaseSwap("books", lease, Lease(1, "me"))]) == [True]
        entry = Parked("1", 7, "s", "t")
        await store.apply([Change("books", 7, 7, epoch=1, parked=[entry])])
        assert await store.parked("books") == [entry]
        assert [one.role for one in await store.generations("books")] == ["served"]
        await store.close()
    assert other.execute("SELECT schema_version FROM read_store").fetchall() == [(2,)]


async def test_a_new_file_and_one_brought_up_to_date_have_the_same_columns(path, other, tmp_path):
    other.execute(SCHEMA_1)
    columns = "SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info('checkpoints')"
    found = []
    for file in (path, tmp_path / "new.db"):
        store = SqliteReadStore(file)
        await store.open([])
        found.append(store._database.connection.execute(columns).fetchall())
        await store.close()
    assert found[0] == found[1]
    assert len(found[0]) == 6


async def test_a_table_that_is_in_the_way_is_left_alone(path, other):
    other.execute(SCHEMA_1)
    other.execute("CREATE TABLE parked (car TEXT)")
    with pytest.raises(ConfigurationError, match="'parked' that is not diptych's"):
        await SqliteReadStore(path).open([])
    assert other.execute("SELECT schema_version FROM read_store").fetchall() == [(1,)]
    assert other.execute("SELECT * FROM checkpoints").fetchall() == [("books", 7, "1")]


async def test_opening_again_writes_nothing(store, other):
    await store.open([BOOKS, NEXT])
    before = other.execute("PRAGMA data_version").fetchall()
    await store.open([BOOKS, NEXT])
    assert other.execute("PRAGMA data_version").fetchall() == before
    await store.apply([Change("books", 0, 1)])
    assert other.execute("PRAGMA data_version").fetchall() != before, "this is how one would see it"


async def test_a_dropped_generation_leaves_nothing_behind(store, other):
    before = names_in(other)
    await store.open([NEXT])
    await store.apply(
        [put(Book("1", "Emma"), projection="books__1", parked=[Parked("2", 1, "", "")])]
    )
    assert len(names_in(other) - before) > 8, "tables, index, view, triggers, full-text search"
    await store.drop(NEXT)
    assert names_in(other) == before
    assert other.execute("SELECT projection FROM checkpoints").fetchall() == [("books",)]
    assert other.execute("SELECT count(*) FROM parked").fetchall() == [(0,)]


@pytest.mark.parametrize("name", ["books_search", "books_columns"])
async def test_projections_named_like_what_hangs_on_others_are_left_alone(path, name):
    totals = TableSpec("books", "1", schema=("CREATE TABLE sums (n)",), tables=("sums",))
    plain = TableSpec("books", "2", shape_of(Plain)) if name == "books_search" else totals
    neighbour = TableSpec(name, "1", shape_of(Plain))
    store = SqliteReadStore(path)
    await store.open([neighbour])
    await store.apply([put(Plain("1"), projection=name)])
    await store.open([plain])
    await store.reset(plain)
    await store.drop(plain)
    assert set((await store.load(name, ["1"])).rows) == {"1"}
    await store.close()


async def test_a_view_named_like_what_hangs_on_others_is_left_alone(store):
    view = ViewSpec("SELECT '1' AS isbn, 'Emma' AS title")
    await store.open([TableSpec("books_rows", "1", shape_of(Plain), view=view)])
    await store.open([BOOKS])
    await store.reset(BOOKS)
    await store.drop(BOOKS)
    assert await store.select("SELECT isbn FROM books_rows") == [{"isbn": "1"}]


async def test_dropping_the_log_is_refused(store, other):
    for name in ("events", "checkpoints", "parked", "sqlite_schema"):
        with pytest.raises(ConfigurationError, match="taken"):
            await store.drop(TableSpec(name, "1", shape_of(Book)))
    assert "checkpoints" in names_in(other)


@pytest.mark.parametrize("key", ["\x00", "a\x00b", "%", "'", '"', "\\u0000", "a" * 100_000])
async def test_a_parked_key_is_any_text(store, key):
    entries = [Parked(key, 1, key, key), Parked(key, 1, key, key, by_stream=True)]
    await store.apply([Change("books", 0, 0, parked=[*entries, Parked("a", 1, "", "")])])
    assert await store.parked("books", [key]) == entries
    await store.apply([Change("books", 0, 0, unparked=entries[:1])])
    assert await store.parked("books", [key]) == entries[1:]


async def test_what_is_parked_is_found_and_listed_by_an_index(store, other):
    for statement, parameters in (
        parked_sql("books", None, 10),
        parked_sql("books", ["a", "b"], None),
        (sql("delete_unparked"), ["books", '[[1, "a", false]]']),
        (sql("select_checkpoint"), ["books"]),
        (sql("select_generations"), ["books"]),
    ):
        plan = [row[3] for row in other.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
        assert not [step for step in plan if step.startswith("SCAN") and "json_each" not in step], (
            plan
        )
    listed = str(other.execute(f"EXPLAIN QUERY PLAN {sql('select_parked')}", ["b", 9]).fetchall())
    assert "TEMP B-TREE" not in listed, "rows come in the order of the index"


async def test_a_swap_fences_those_behind_it_in_the_same_group(store):
    await store.swap_leases(MINE)
    taken = LeaseSwap("books", Lease(1, "me"), Lease(2, "you"))
    first, swapped, late, other = await asyncio.gather(
        store.apply([put(Book("1"), epoch=1)]),
        store.swap_leases([taken]),
        store.apply([put(Book("2"), after=1, epoch=1)]),
        store.apply([put(Book("3"), after=1, epoch=2)]),
        return_exceptions=True,
    )
    assert (first, swapped, other) == (None, [True], None)
    assert isinstance(late, LeaseLost)
    assert (late.projection, late.epoch, late.actual) == ("books", 1, 2)
    assert [row.key for row in await store.find("books", Find())] == ["1", "3"]


async def obstacle(store):
    while True:
        if found := await store.held_up_by():
            return found
        await asyncio.sleep(0)


async def test_a_write_that_waits_for_another_process_says_so(store, other, path, monkeypatch):
    monkeypatch.setattr(module, "_HELD_UP_S", 0.02)
    assert await store.held_up_by() == ""
    other.execute("BEGIN IMMEDIATE")
    assert await store.held_up_by() == "", "nobody waits for it"
    applying = asyncio.create_task(store.apply([put(Book("1"))]))
    found = await asyncio.wait_for(obstacle(store), 10)
    assert "another process has held the write lock" in found
    assert str(path) in found
    other.execute("COMMIT")
    await applying
    assert await store.held_up_by() == ""
