"""Read models in PostgreSQL: what SQL must not do, shapes that change, and own SQL."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import asyncpg
import msgspec
import pytest

from diptych.adapters.postgres.placeholders import numbered
from diptych.adapters.postgres.read_store import PostgresReadStore
from diptych.errors import ConfigurationError, StoreError
from diptych.queries.read_model import ReadModel, shape_of
from diptych.queries.read_store import Change, Filter, Find, Row, Statement, TableSpec

pytestmark = pytest.mark.anyio


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
    "a\x00b",
    "\ud800",
    "%",
    "a" * 10_000,
]


def spec_of(model, name="books", fingerprint="1"):
    return TableSpec(name, fingerprint, shape_of(model))


def books(*rows, after=0, projection="books"):
    return Change(projection, after, after + 1, [Row(b.isbn, after + 1, b) for b in rows])


@pytest.fixture
async def store(postgres_url):
    store = PostgresReadStore(postgres_url)
    await store.open([BOOKS])
    yield store
    await store.close()


@pytest.fixture
async def other(postgres_url, postgres_schema):
    """A connection of somebody else."""
    connection = await asyncpg.connect(
        postgres_url.partition("?")[0], server_settings={"search_path": postgres_schema}
    )
    yield connection
    await connection.close()


async def objects(other):
    found = await other.fetch(
        "SELECT relname, relkind::text, oid FROM pg_class "
        "WHERE relnamespace = current_schema()::regnamespace"
    )
    return {record[0]: tuple(record) for record in found}


@pytest.mark.parametrize("text", NASTY)
async def test_nothing_can_be_injected(store, text):
    rows = books(Book("1", title="Emma", author="Jane"), Book("2", author=text))
    if "\0" in text or "\ud800" in text:
        with pytest.raises(StoreError, match="'author'"):
            await store.apply([rows])
        rows = rows._replace(rows=[rows.rows[0], Row("2", 1, Book("2", author="else"))])
    await store.apply([rows])
    find = Find(search=text)
    assert all(row.key != "1" for row in await store.find("books", find))
    wanted = ["2"] if rows.rows[1].value.author == text else []
    by_author = Find((Filter("author", "=", text),))
    assert [row.key for row in await store.find("books", by_author)] == wanted
    among = Find((Filter("author", "in", [text, "nobody"]),))
    assert [row.key for row in await store.find("books", among)] == wanted
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


@pytest.mark.parametrize("name", ["checkpoints", "read_store", "x" * 64, "ä" * 32, ""])
async def test_names_that_are_taken_or_too_long_are_refused(store, name):
    with pytest.raises(ConfigurationError, match="name"):
        await store.open([TableSpec(name, "1", shape_of(Book))])
    with pytest.raises(ConfigurationError, match="name"):
        await store.open(
            [TableSpec("mine", "1", schema=("CREATE TABLE x (a int)",), tables=(name,))]
        )


async def test_a_table_that_holds_something_else_is_left_alone(store, other):
    await other.execute("CREATE TABLE orders (id int)")
    await other.execute("CREATE VIEW screens AS SELECT 1 AS _position")
    for name in ("orders", "screens"):
        with pytest.raises(ConfigurationError, match="something else"):
            await store.open([TableSpec(name, "1", shape_of(Book))])
    assert "id" in str(
        await other.fetch("SELECT attname FROM pg_attribute WHERE attrelid = 'orders'::regclass")
    )


async def test_fields_with_long_names(store):
    class Long(ReadModel, key="key", indexes=("x" * 62, "x" * 63)):
        key: str
        __annotations__ |= {"x" * 62: int, "x" * 63: int}

    await store.open([TableSpec("long", "1", shape_of(Long))])
    await store.apply([Change("long", 0, 1, [Row("a", 1, Long("a", 1, 2))])])
    assert (await store.find("long", Find((Filter("x" * 63, "=", 2),))))[0].key == "a"
    await store.open([TableSpec("long", "1", shape_of(Long))])

    class TooLong(ReadModel, key="key"):
        key: str
        __annotations__ |= {"x" * 64: int}

    with pytest.raises(ConfigurationError, match="63 bytes"):
        await store.open([TableSpec("too_long", "1", shape_of(TooLong))])


async def test_opening_again_changes_nothing(store, other):
    await store.apply([books(Book("1"))])
    before = await objects(other)
    await store.open([BOOKS])
    assert await objects(other) == before


async def test_many_may_open_an_empty_schema_at_once(postgres_url):
    stores = [PostgresReadStore(postgres_url) for _ in range(4)]

    def open_elsewhere(one):
        async def run():
            await one.open([BOOKS])
            await one.close()

        asyncio.run(run())

    await asyncio.gather(*(asyncio.to_thread(open_elsewhere, one) for one in stores))


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
            assert "books_by_words" not in await objects(other)
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


async def test_new_fields_have_their_defaults_and_old_ones_may_come_back(store, postgres_url):
    class More(ReadModel, key="isbn", indexes=("price",)):
        isbn: str
        title: str = ""
        price: Decimal = Decimal("1.50")
        tags: list[str] = msgspec.field(default_factory=lambda: ["new"])
        seen: datetime | None = None

    await store.apply([books(Book("1", "Emma", "Jane", 474))])
    newer = PostgresReadStore(postgres_url)
    await newer.open([spec_of(More)])
    assert (await newer.load("books", ["1"])).rows["1"].value == More("1", "Emma")
    await newer.apply([Change("books", 1, 2, [Row("2", 2, More("2", price=Decimal(3)))])])
    await newer.close()
    # A process with the old read model goes on meanwhile; what it writes has the defaults.
    await store.apply([books(Book("3"), after=2)])
    await newer.open([spec_of(More)])
    assert (await newer.load("books", ["3"])).rows["3"].value == More("3")
    await newer.close()
    assert (await store.load("books", ["1"])).rows["1"].value == Book("1", "Emma", "Jane", 474)


async def test_a_rebuild_by_somebody_else_is_noticed(store, postgres_url):
    class Other(ReadModel, key="isbn"):
        isbn: str
        title: int = 0

    await store.apply([books(Book("1"))])
    one, two = PostgresReadStore(postgres_url), PostgresReadStore(postgres_url)
    for each in (one, two):
        await each.open([spec_of(Other)])
        with pytest.raises(StoreError, match="rebuild books"):
            await each.load("books", ["1"])
        with pytest.raises(StoreError, match="rebuild books"):
            await each.apply([Change("books", 1, 2, [Row("2", 2, Other("2"))])])
    assert (await store.load("books", ["1"])).rows["1"].value == Book("1")
    await one.reset(spec_of(Other))
    assert (await two.load("books", ["1"])).rows == {}
    for each in (one, two):
        await each.close()


async def test_a_reset_to_the_same_shape_keeps_views(store, other):
    await store.apply([books(Book("1"))])
    await other.execute("CREATE VIEW pages AS SELECT sum(pages) FROM books")
    await store.reset(BOOKS)
    assert await store.count("books") == 0
    await other.fetch("SELECT * FROM pages")

    class Other(ReadModel, key="isbn"):
        isbn: str
        pages: str = ""

    with pytest.raises(StoreError, match="view"):
        await store.reset(spec_of(Other))


async def test_a_time_without_zone_is_not_taken_for_local_time(store):
    own = TableSpec(
        "times",
        "1",
        schema=("CREATE TABLE times_kept (z timestamptz, n timestamp)",),
        tables=("times_kept",),
    )
    await store.open([own])
    naive, zoned = datetime(2020, 1, 1), datetime(2020, 1, 1, tzinfo=UTC)  # noqa: DTZ001
    insert = "INSERT INTO times_kept VALUES (?, ?)"
    await store.apply([Change("times", 0, 1, statements=[Statement(insert, (zoned, naive))])])
    for wrong in ((naive, naive), (zoned, zoned)):
        with pytest.raises(StoreError, match=r"parameter . .*zone"):
            await store.apply([Change("times", 1, 2, statements=[Statement(insert, wrong)])])
    assert await store.select("SELECT * FROM times_kept") == [{"z": zoned, "n": naive}]


async def test_parameters_are_brought_to_the_types_of_their_places(store):
    own = TableSpec(
        "kinds",
        "1",
        schema=("CREATE TABLE kinds_kept (t text, n numeric, i integer, b boolean, j jsonb)",),
        tables=("kinds_kept",),
    )
    await store.open([own])
    insert = "INSERT INTO kinds_kept VALUES (?, ?, ?, ?, ?)"
    values = (5, "1.50", "7", 1, {"a": 1})
    await store.apply([Change("kinds", 0, 1, statements=[Statement(insert, values)] * 2)])
    rows = await store.select("SELECT t, n, i, b, j ->> 'a' AS a FROM kinds_kept WHERE t = ?", (5,))
    assert rows == [{"t": "5", "n": Decimal("1.50"), "i": 7, "b": True, "a": "1"}] * 2
    for wrong in (("t", "x", 1, 1, 1), ("t", 1, 1.5, 1, 1), ("t", 1, 2**40, 1, 1), ("t", 1)):
        with pytest.raises(StoreError, match=r"kinds.*could not run"):
            await store.apply([Change("kinds", 1, 2, statements=[Statement(insert, wrong)])])


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("a = ? AND b = ?", "a = $1 AND b = $2"),
        ("'?' \"?\" ?", "'?' \"?\" $1"),
        ("'it''s ?' ?", "'it''s ?' $1"),
        (r"E'\'?' ?", r"E'\'?' $1"),
        ("-- ?\n?", "-- ?\n$1"),
        ("/* ? /* ? */ ? */ ?", "/* ? /* ? */ ? */ $1"),
        ("$$ ? $$ $x$ ? $$ $x$ ?", "$$ ? $$ $x$ ? $$ $x$ $1"),
        ("a ?? 'b'", "a ? 'b'"),
        ("a = $1", "a = $1"),
        ("'unfinished ?", "'unfinished $1"),
    ],
)
def test_question_marks_are_parameters_where_they_are_no_text(written, meant):
    assert numbered(written) == meant


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM books",
        "SELECT 1; DROP TABLE books",
        "WITH d AS (DELETE FROM books RETURNING 1) SELECT * FROM d",
        "SELECT setval('x', 1) FROM (SELECT 1) AS s; DELETE FROM books",
        "CREATE TABLE y (a int)",
    ],
)
async def test_select_only_reads(store, statement):
    await store.apply([books(Book("1"))])
    with pytest.raises(ConfigurationError, match="only reading"):
        await store.select(statement)
    assert await store.count("books") == 1


async def test_select_leaves_no_setting_behind(store):
    await store.select("SELECT set_config('default_transaction_read_only', 'off', false)")
    await store.select("SET enable_indexscan = off")
    assert await store.select("SHOW enable_indexscan") == [{"enable_indexscan": "on"}]
    with pytest.raises(ConfigurationError):
        await store.select("DELETE FROM books")


async def test_a_scratch_store_leaves_no_schema_behind(store, other):
    scratch = store.scratch()
    await scratch.open([BOOKS])
    await scratch.apply([books(Book("1"))])
    assert await store.count("books") == 0
    made = scratch.describe()["schema"]
    count = "SELECT count(*) FROM pg_namespace WHERE nspname = $1"
    assert await other.fetchval(count, made) == 1
    await scratch.close()
    assert await other.fetchval(count, made) == 0


async def test_a_store_takes_part_only_in_transactions_of_its_own_database(store, other):
    with pytest.raises(ConfigurationError, match="transaction"):
        store.within(other)
    elsewhere = PostgresReadStore.__new__(PostgresReadStore)
    elsewhere.__dict__ |= store.__dict__ | {"_identity": "read models of another database"}
    async with other.transaction():
        rows = store.within(other)
        await rows.apply([books(Book("1"))])
        assert (await rows.load("books", ["1"])).checkpoint == 1
        with pytest.raises(ConfigurationError, match="same URL"):
            await elsewhere.within(other).load("books", ["1"])
    assert await store.count("books") == 1


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
