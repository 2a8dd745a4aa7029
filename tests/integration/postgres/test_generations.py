"""Generations in PostgreSQL: switched and dropped while other processes use them."""

from __future__ import annotations

import asyncio
import time

import asyncpg
import pytest

from diptych.adapters.postgres.read_store import PostgresReadStore
from diptych.errors import ConfigurationError, StoreError, StoreUnavailable
from diptych.queries.parked import Parked
from diptych.queries.read_model import ReadModel, shape_of
from diptych.queries.read_store import Change, CheckpointInfo, Find, Row, TableSpec
from diptych.queries.standings import Lease, LeaseSwap, generation_name

pytestmark = pytest.mark.anyio


class Page(ReadModel, key="id", indexes=("text",)):
    id: str
    text: str = ""


class Numbered(ReadModel, key="id", indexes=("text",)):
    id: str
    text: int = 0


def spec(name="pages__1", model=Page, fingerprint="1"):
    return TableSpec(name, fingerprint, shape_of(model))


PAGES = spec("pages")
NEVER_OPENED = CheckpointInfo(0, "", Lease(), parks=False, role="building")


def page(after, key="a", *, name="pages__1", value=None, **more):
    return Change(name, after, after + 1, [Row(key, after + 1, value or Page(key))], **more)


@pytest.fixture
async def store(postgres_url):
    store = PostgresReadStore(postgres_url)
    await store.open([PAGES, spec()])
    yield store
    await store.close()


@pytest.fixture
async def elsewhere(store, postgres_url):
    """The same store with connections of its own, as another process has them."""
    other = PostgresReadStore(f"{postgres_url}&timeout_s=20&sslmode=prefer")
    await other.open([PAGES, spec()])
    yield other
    await other.close()


@pytest.fixture
async def other(postgres_url, postgres_schema):
    """A connection of somebody else."""
    connection = await asyncpg.connect(
        postgres_url.partition("?")[0], server_settings={"search_path": postgres_schema}
    )
    yield connection
    await connection.close()


@pytest.fixture
async def observer(postgres_url):
    connection = await asyncpg.connect(postgres_url.partition("?")[0])
    yield connection
    await connection.close()


async def waiting(observer, schema, count):
    """Wait until so many sessions of the store wait for a lock."""
    deadline = time.monotonic() + 20
    while count > await observer.fetchval(
        "SELECT count(DISTINCT pid) FROM pg_locks JOIN pg_stat_activity USING (pid) "
        "WHERE NOT granted AND application_name = $1",
        f"diptych {schema} writing",
    ):
        assert time.monotonic() < deadline, f"waited 20 s for {count} sessions to wait for a lock"
        await asyncio.sleep(0.01)


async def names(store, projection="pages"):
    return [(one.name, one.role) for one in await store.generations(projection)]


async def test_generations_are_told_from_projections_with_similar_names(store):
    others = ("pages__x", "pages__01", "pages2__1", "pagesx_1", "p_ges__1", "pages__1__2", "%__1")
    await store.open([spec(name) for name in (*others, "pages__10", "pages__2")])
    assert await names(store) == [
        ("pages", "served"),
        ("pages__1", "building"),
        ("pages__2", "building"),
        ("pages__10", "building"),
    ]
    assert await names(store, "pages__1") == [("pages__1", "building"), ("pages__1__2", "building")]
    assert await names(store, "p_ges") == [("p_ges__1", "building")]
    assert await names(store, "%") == [("%__1", "building")]
    assert await names(store, "nothing") == []


async def test_opening_again_leaves_roles_as_they_are(store, elsewhere):
    assert await store.switch(
        {"pages": "served", "pages__1": "building"}, {"pages": "kept", "pages__1": "served"}
    )
    await elsewhere.open([PAGES, spec()])
    await store.reset(spec())
    assert await names(elsewhere) == [("pages", "kept"), ("pages__1", "served")]


async def test_of_switches_at_once_one_succeeds(store, elsewhere):
    there = {"pages": "served", "pages__1": "building"}
    for _ in range(10):
        back = {"pages": there["pages__1"], "pages__1": there["pages"]}
        done = await asyncio.gather(
            *(each.switch(there, back) for each in (store, elsewhere) * 3),
            *(each.switch(dict(reversed(there.items())), back) for each in (store, elsewhere)),
        )
        assert sorted(done) == [False] * 7 + [True]
        there = back
        assert dict(await names(store)) == there


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"pages": "served", "pages__1": "served"}, {"pages": "kept"}),
        ({"pages": "served", "pages__7": "building"}, {"pages": "kept"}),
        ({"pages": "served"}, {"pages": "kept", "pages__7": "served"}),
    ],
)
async def test_a_switch_of_others_than_expected_changes_nothing(store, before, after):
    assert not await store.switch(before, after)
    assert await names(store) == [("pages", "served"), ("pages__1", "building")]


async def test_a_dropped_generation_leaves_nothing_and_no_other_is_touched(store, other):
    for name in ("pages", "pages__1"):
        await store.swap_leases([LeaseSwap(name, Lease(), Lease(1, "t"))])
        await store.apply([page(0, name=name, parked=[Parked("a", 1, "s", "T", "skipped")])])
    await store.drop(spec())
    await store.drop(spec())
    left = await other.fetch("SELECT relname FROM pg_class WHERE relname LIKE 'pages\\_\\_1%'")
    assert left == []
    assert await names(store) == [("pages", "served")]
    assert await store.count("pages") == len(await store.parked("pages")) == 1
    with pytest.raises(ConfigurationError, match="was not opened for"):
        await store.load("pages__1", ["a"])
    await store.open([spec()])
    assert await store.checkpoint("pages__1") == NEVER_OPENED
    assert await store.parked("pages__1") == []
    assert (await store.load("pages__1", ["a"])).rows == {}


async def test_what_another_process_has_dropped_is_said_to_be_gone(store, elsewhere):
    own = TableSpec("own", "1", schema=("CREATE TABLE owned (a int)",), tables=("owned",))
    await store.open([own])
    await store.apply([page(0)])
    reads = (
        lambda: store.load("pages__1", ["a"]),
        lambda: store.find("pages__1", Find()),
        lambda: store.count("pages__1"),
    )
    for read in reads:
        await read()  # its statement is prepared
    await elsewhere.drop(spec())
    await elsewhere.drop(own)
    writes = (
        lambda: store.apply([page(1)]),
        lambda: store.apply([page(1, deleted=["b"])]),
        lambda: store.apply([Change("pages__1", 1, 2, parked=[Parked("a", 1, "s", "T")])]),
        lambda: store.apply([Change("own", 0, 1)]),
    )
    for use in (*reads, *writes):
        with pytest.raises(StoreError, match=r"are gone: another process has dropped them"):
            await use()
    assert await store.checkpoint("pages__1") == NEVER_OPENED
    assert await store.swap_leases([LeaseSwap("pages__1", Lease(), Lease(1))]) == [False]
    assert await store.parked("pages__1") == []
    await elsewhere.open([spec()])
    await store.apply([page(0)])
    assert (await store.load("pages__1", ["a"])).checkpoint == 1


async def test_statements_prepared_for_other_columns_are_prepared_again(store, elsewhere, other):
    await store.apply([page(0)])
    for _ in range(6):  # the server keeps the plan from the sixth time on
        await store.load("pages__1", ["a"])
        await store.find("pages__1", Find())
        async with other.transaction():
            await store.within(other).load("pages__1", ["a"])
    await elsewhere.drop(spec())
    await elsewhere.open([spec(model=Numbered)])
    await store.open([spec(model=Numbered)])
    await store.apply([page(0, value=Numbered("a", 7))])
    assert (await store.load("pages__1", ["a"])).rows["a"].value == Numbered("a", 7)
    assert [row.value for row in await store.find("pages__1", Find())] == [Numbered("a", 7)]
    async with other.transaction():
        assert (await store.within(other).load("pages__1", ["a"])).rows["a"].value.text == 7


async def test_rows_that_another_process_has_made_for_another_shape_are_not_read_as_ours(
    store, elsewhere, other
):
    await store.open([spec(model=Numbered)])
    await store.load("pages__1", ["a"])
    async with other.transaction():
        await store.within(other).load("pages__1", ["a"])
    await elsewhere.reset(spec())
    await elsewhere.apply([page(0, value=Page("a", "no number"))])
    for read in (
        lambda: store.load("pages__1", ["a"]),
        lambda: store.find("pages__1", Find()),
        lambda: store.count("pages__1"),
        lambda: store.apply([page(1, value=Numbered("a", 7))]),
    ):
        with pytest.raises(StoreError, match="'text' is kept as text, not as bigint"):
            await read()
    async with other.transaction():
        with pytest.raises(StoreError, match="no Numbered any more"):
            await store.within(other).load("pages__1", ["a"])


@pytest.mark.parametrize("how", ["drop", "reset"])
@pytest.mark.parametrize("deleted", [(), ("b",)], ids=["one statement", "transaction"])
async def test_a_drop_and_an_apply_that_meet_do_not_wait_for_each_other_for_ever(
    store, elsewhere, other, observer, postgres_schema, how, deleted
):
    async with other.transaction():
        await other.execute("SELECT FROM checkpoints WHERE projection = 'pages__1' FOR UPDATE")
        dropped = asyncio.create_task(getattr(elsewhere, how)(spec()))
        await waiting(observer, postgres_schema, 1)
        # It waits behind the drop, and has locked already what the drop wants next.
        applied = asyncio.create_task(store.apply([page(0, deleted=deleted)]))
        await waiting(observer, postgres_schema, 2)
    await dropped
    if how == "drop" and deleted:  # a transaction locks nothing more until it has the checkpoint
        with pytest.raises(StoreError, match="are gone"):
            await applied
    else:
        await applied
    if how == "drop":
        assert await names(store) == [("pages", "served")]


async def test_a_drop_that_waits_for_a_reader_stops_no_apply(store, elsewhere, other):
    async with other.transaction():
        await other.execute("SELECT FROM pages__1")
        dropped = asyncio.create_task(elsewhere.drop(spec()))
        for after in range(5):
            async with asyncio.timeout(15):
                await store.apply([page(after)])
                await store.load("pages__1", ["a"])
        assert not dropped.done()
    await dropped
    assert await names(store) == [("pages", "served")]


async def test_a_drop_waits_no_longer_than_it_was_told_to(store, other, postgres_url):
    hasty = PostgresReadStore(f"{postgres_url}&timeout_s=0.5&sslmode=prefer")
    await hasty.open([spec()])
    await hasty.apply([page(0)])
    async with other.transaction():
        await other.execute("SELECT FROM pages__1")
        with pytest.raises(StoreUnavailable, match="held a lock"):
            await hasty.drop(spec())
        with pytest.raises(StoreUnavailable, match="held a lock"):
            await hasty.reset(spec())
    assert (await hasty.load("pages__1", ["a"])).checkpoint == 1
    await hasty.drop(spec())
    await hasty.close()


async def test_what_depends_on_a_generation_keeps_it_whole(store, other):
    await store.apply([page(0, parked=[Parked("a", 1, "s", "T")])])
    await other.execute("CREATE VIEW report AS SELECT count(*) FROM pages__1")
    with pytest.raises(StoreError, match=r"(?s)'pages__1'.* cannot be dropped: .*report"):
        await store.drop(spec())
    info = await store.checkpoint("pages__1")
    assert (info.position, info.parks) == (1, True)
    assert (await store.load("pages__1", ["a"])).rows["a"].value == Page("a")


async def test_a_table_of_somebody_else_is_not_dropped(store, other):
    await other.execute("CREATE TABLE orders__1 (id int)")
    await store.drop(spec("orders__1"))
    assert await other.fetch("SELECT * FROM orders__1") == []


@pytest.mark.parametrize("length", [60, 61, 63])
async def test_a_generation_whose_name_is_too_long_is_refused_when_it_is_opened(store, length):
    name = "x" * length
    await store.open([spec(name)])
    numbered = spec(generation_name(name, 1))
    if length == 60:
        await store.open([numbered])
        assert await names(store, name) == [(name, "served"), (numbered.name, "building")]
        await store.apply([page(0, name=numbered.name)])
        assert await store.count(name) == 0
        return
    for refused in (store.open([numbered]), store.drop(numbered)):
        with pytest.raises(ConfigurationError, match=r"63 bytes.*made anew beside"):
            await refused
    assert await names(store, name) == [(name, "served")]


async def test_a_projection_called_parked_is_refused(store):
    with pytest.raises(ConfigurationError, match="'parked': the name is taken"):
        await store.open([spec("parked")])
