"""Read models in a file: what SQL must not do, and shapes that change."""

from __future__ import annotations

import asyncio

import pytest

from diptych.adapters.sqlite.event_log import SqliteEventLog
from diptych.adapters.sqlite.read_store import SqliteReadStore
from diptych.errors import CheckpointMoved, ConfigurationError, StoreError
from diptych.events.log import Append, EventToStore, StreamAppend
from diptych.queries.read_model import ReadModel, shape_of
from diptych.queries.read_store import Change, Filter, Find, Row, Statement, TableSpec


class Book(ReadModel, key="isbn", indexes=("author", "pages"), search=("title",)):
    isbn: str
    title: str = ""
    author: str = ""
    pages: int = 0


BOOKS = TableSpec("books", "1", shape_of(Book))
NASTY = [
    'x" OR title:*',
    "x' OR '1'='1",
    '"',
    "'; DROP TABLE books; --",
    "title : x",
    "NEAR(a b)",
    "a AND NOT b",
    "^x",
    "*",
    "{title}: x",
    "\x00",
    "%",
    "a" * 10_000,
]


def spec_of(model, name="books", fingerprint="1"):
    return TableSpec(name, fingerprint, shape_of(model))


def books(*rows, after=0, projection="books"):
    return Change(projection, after, after + 1, [Row(b.isbn, after + 1, b) for b in rows])


@pytest.fixture
async def store(path):
    store = SqliteReadStore(path)
    await store.open([BOOKS])
    yield store
    await store.close()


def schema_of(other):
    found = other.execute("SELECT name, sql, rootpage FROM sqlite_schema").fetchall()
    return {name: (sql, page) for name, sql, page in found}


@pytest.mark.parametrize("text", NASTY)
async def test_nothing_can_be_injected(store, text):
    await store.apply([books(Book("1", title="Emma", author="Jane"), Book("2", author=text))])
    find = Find(search=text)
    assert all(row.key != "1" for row in await store.find("books", find))
    by_author = Find((Filter("author", "=", text),))
    assert [row.key for row in await store.find("books", by_author)] == ["2"]
    among = Find((Filter("author", "in", [text, "nobody"]),))
    assert [row.key for row in await store.find("books", among)] == ["2"]
    assert set((await store.load("books", [text, "1"])).rows) == {"1"}
    with pytest.raises(ConfigurationError):
        await store.find("books", Find((Filter(text, "=", 1),)))
    with pytest.raises(ConfigurationError):
        await store.find("books", Find(order_by=text))
    assert await store.count("books") == 2


@pytest.mark.parametrize("name", ['we"ird', "select", "a b", "x'y", "ä", "2nd"])
async def test_a_projection_may_have_any_name(store, name):
    await store.open([TableSpec(name, "1", shape_of(Book))])
    await store.apply([books(Book("1", title="Emma"), projection=name)])
    assert len(await store.find(name, Find((Filter("pages", ">=", 0),), search="emma"))) == 1
    await store.reset(TableSpec(name, "2", shape_of(Book)))
    assert await store.count(name) == 0


@pytest.mark.parametrize("name", ["events", "checkpoints", "parked", "parked_by_key", "sqlite_x"])
async def test_names_that_are_taken_are_refused(store, name):
    with pytest.raises(ConfigurationError, match="taken"):
        await store.open([TableSpec(name, "1", shape_of(Book))])
    with pytest.raises(ConfigurationError, match="taken"):
        await store.open([TableSpec("mine", "1", schema=("CREATE TABLE x (a)",), tables=(name,))])


async def test_people_see_fields_as_columns(store, other):
    await store.apply([books(Book("1", "Emma", "Jane", 474))])
    cursor = other.execute("SELECT * FROM books_columns")
    assert [name for name, _ in cursor.get_description()] == ["isbn", "title", "author", "pages"]
    assert cursor.fetchall() == [("1", "Emma", "Jane", 474)]


async def test_finding_uses_the_declared_indexes(store):
    await store.apply([books(*(Book(str(n), author=f"a{n % 7}", pages=n) for n in range(50)))])
    from diptych.adapters.sqlite.finding import find_sql

    table = store._projections.row_table("books")
    for find in (
        Find((Filter("author", "=", "a3"),)),
        Find((Filter("author", "in", ["a3", "a4"]),)),
        Find((Filter("pages", ">", 3), Filter("pages", "<", 9))),
        Find(order_by="pages", limit=5),
        Find(order_by="pages", descending=True, limit=5),
    ):
        statement, parameters = find_sql(table, find)
        plan = await asyncio.to_thread(
            store._database.connection.execute, f"EXPLAIN QUERY PLAN {statement}", parameters
        )
        assert "books_by_" in str(plan.fetchall()), find


async def test_opening_again_changes_nothing(store, other):
    await store.apply([books(Book("1"))])
    before = schema_of(other)
    await store.open([BOOKS])
    assert schema_of(other) == before


async def test_indexes_and_search_follow_the_read_model_and_rows_stay(other, store):
    class Plain(ReadModel, key="isbn", indexes=("author",)):
        isbn: str
        title: str = ""
        author: str = ""
        pages: int = 0

    class Other(ReadModel, key="isbn", indexes=("title", "pages"), search=("author", "title")):
        isbn: str
        title: str = ""
        author: str = ""
        pages: int = 0

    await store.apply([books(Book("1", "Emma", "Jane", 474), Book("2", "Ulysses", "James", 730))])
    for model in (Plain, Other, Plain, Book, Other):
        await store.open([spec_of(model)])
        kept = await store.load("books", ["1", "2"])
        assert kept.checkpoint == 1
        assert kept.rows["1"].value == model("1", "Emma", "Jane", 474)
        if model is Plain:
            assert "books_search" not in schema_of(other)
            with pytest.raises(ConfigurationError):
                await store.find("books", Find(search="emma"))
        else:
            assert [r.key for r in await store.find("books", Find(search="ulys"))] == ["2"]
            found = await store.find("books", Find((Filter("pages", ">", 500),)))
            assert [row.key for row in found] == ["2"]
        if model is Other:
            assert [r.key for r in await store.find("books", Find(search="jan"))] == ["1"]


async def test_a_row_that_does_not_fit_any_more_says_rebuild(store):
    class Book(ReadModel, key="isbn"):
        isbn: str
        publisher: str

    await store.apply([books(globals()["Book"]("1"))])
    await store.open([spec_of(Book)])
    for read in (store.load("books", ["1"]), store.find("books", Find())):
        with pytest.raises(StoreError, match="diptych projections rebuild books"):
            await read
    await store.reset(spec_of(Book))
    await store.apply([books(Book("1", "Penguin"))])
    assert (await store.load("books", ["1"])).rows["1"].value.publisher == "Penguin"


@pytest.mark.parametrize("count", [1, 10, 999, 1001, 5000])
async def test_any_number_of_rows_is_written_and_loaded(store, count):
    rows = [Book(f"{n}", f"title {n}", pages=n) for n in range(count)]
    await store.apply([books(*rows)])
    loaded = await store.load("books", [*(book.isbn for book in rows), "missing"])
    assert {key: row.value for key, row in loaded.rows.items()} == {b.isbn: b for b in rows}
    assert await store.count("books", (Filter("pages", ">=", 0),)) == count
    found = await store.find("books", Find(order_by="pages"))
    assert [row.value.pages for row in found] == list(range(count))
    gone = [book.isbn for book in rows if book.pages % 2]
    await store.apply([Change("books", 1, 2, deleted=gone)])
    assert await store.count("books") == count - len(gone)


async def test_a_long_read_goes_to_the_thread_and_comes_back_right(store):
    await store.apply([books(*(Book(f"{n}", pages=n) for n in range(3000)))])
    slow = "SELECT count(*) AS pairs FROM books AS a, books AS b WHERE a.key < b.key"
    for _ in range(2):
        assert await store.select(slow) == [{"pairs": 3000 * 2999 // 2}]
    assert slow in store._database.reader._slow


async def test_a_stale_apply_fails_alone_in_its_group(path, store):
    log = SqliteEventLog(path)
    await log.open()
    event = EventToStore("Added", 1, b"{}", b"{}")
    results = await asyncio.gather(
        store.apply([books(Book("1"))]),
        store.apply([books(Book("2"))]),
        log.append(Append((StreamAppend("s", 0, (event,)),))),
        store.apply([books(Book("3"), after=1)]),
        return_exceptions=True,
    )
    await log.close()
    assert isinstance(results[1], CheckpointMoved)
    assert (results[1].expected, results[1].actual) == (0, 1)
    assert results[0] is None
    assert results[3] is None
    assert results[2].first == 1
    assert set((await store.load("books", ["1", "2", "3"])).rows) == {"1", "3"}


async def test_a_failing_statement_fails_alone_in_its_group(store):
    totals = TableSpec("totals", "1", schema=("CREATE TABLE sums (n INTEGER)",), tables=("sums",))
    await store.open([totals])
    wrong = Change("totals", 0, 1, statements=[Statement("INSERT INTO nowhere VALUES (1)")])
    results = await asyncio.gather(
        store.apply([books(Book("1"))]), store.apply([wrong]), return_exceptions=True
    )
    assert results[0] is None
    assert isinstance(results[1], StoreError)
    assert (await store.checkpoint("totals")).position == 0
    with pytest.raises(ConfigurationError, match="select"):
        await store.find("totals", Find())


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM books", "PRAGMA query_only = 0; DELETE FROM books", "SELECT 1; DROP TABLE books"],
)
async def test_select_only_reads(store, statement):
    await store.apply([books(Book("1"))])
    with pytest.raises(ConfigurationError, match="only reading"):
        await store.select(statement)
    assert await store.count("books") == 1


async def test_select_says_what_is_wrong_with_the_statement(store):
    with pytest.raises(StoreError, match="no such table"):
        await store.select("SELECT * FROM nowhere")
    assert await store.select("SELECT key FROM books WHERE key = ?", ("x",)) == []


async def test_a_store_takes_part_only_in_transactions_of_its_own_file(tmp_path, store):
    log = SqliteEventLog(tmp_path / "other.db")
    await log.open()
    errors = []

    class Lost:
        async def join(self, transaction, head):
            try:
                store.within(transaction.handle)
            except ConfigurationError as error:
                errors.append(error)

    log.join(Lost())
    event = EventToStore("Added", 1, b"{}", b"{}")
    await log.append(Append((StreamAppend("s", 0, (event,)),)))
    await log.close()
    assert "same file" in str(errors[0])


async def test_a_scratch_store_leaves_no_file_behind(store, tmp_path):
    scratch = store.scratch()
    await scratch.open([BOOKS])
    await scratch.apply([books(Book("1"))])
    assert await store.count("books") == 0
    await scratch.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "log.db",
        "log.db-shm",
        "log.db-wal",
    ]
