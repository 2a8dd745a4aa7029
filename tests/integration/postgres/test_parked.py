"""What is parked in PostgreSQL: also keys that it cannot keep in a row, which is why they are."""

from __future__ import annotations

import asyncio
import random
import time

import asyncpg
import pytest

from diptych.adapters.postgres.read_store import PostgresReadStore
from diptych.errors import CheckpointMoved, StoreError
from diptych.queries.parked import Parked
from diptych.queries.read_model import ReadModel, shape_of
from diptych.queries.read_store import Change, Row, Statement, TableSpec

pytestmark = pytest.mark.anyio


class Page(ReadModel, key="id"):
    id: str
    text: str = ""


PAGES, SHELVES = (TableSpec(name, "1", shape_of(Page)) for name in ("pages", "shelves"))
ODD_KEYS = [
    "\x00",
    "a\x00b",
    "\x01",
    "\ud800",
    "\U0001f600",
    "\ue000",
    "x" * 100_000,
    "".join(random.Random(1).choices("abcdefgh\x00", k=20_000)),
    "'; DROP TABLE parked; --",
    "\\x00",
    "",
]


def parked(key, position=1, **more):
    return Parked(key, position, **({"stream": f"of {key}", "type": "Odd"} | more))


def park(after, *entries, projection="pages", **more):
    return Change(projection, after, after + 1, parked=entries, **more)


@pytest.fixture
async def store(postgres_url):
    store = PostgresReadStore(postgres_url)
    await store.open([PAGES, SHELVES])
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


@pytest.mark.parametrize("key", ODD_KEYS, ids=lambda key: repr(key[:12]))
async def test_any_key_can_be_parked_found_and_unparked(store, key):
    entry = parked(
        key, error=f"not {key}", trace=key, reason=key, actor=key, attempts=3, at_us=2**53 + 1
    )
    by_stream = parked(key, stream=key, by_stream=True)
    await store.apply([park(0, entry, by_stream, parked("else"))])
    assert await store.parked("pages", [key]) == [entry, by_stream]
    assert await store.parked("pages", [key + "x"]) == []
    assert await store.parked("pages", [key], limit=1) == [entry]
    await store.apply([park(1, unparked=[entry])])
    assert await store.parked("pages", [key]) == [by_stream]
    assert len(await store.parked("pages")) == 2


async def test_they_come_by_position_and_then_by_key_as_python_orders_them(store):
    keys = [*ODD_KEYS, "a", "b", "Z", "ä", "a" * 3000 + "2", "a" * 3000 + "1"]
    entries = [parked(key, position) for key in keys for position in (7, 10, 9)]
    await store.apply([park(0, *reversed(entries))])
    ordered = sorted(entries, key=lambda one: (one.position, one.key))
    assert await store.parked("pages") == ordered
    assert await store.parked("pages", limit=20) == ordered[:20]
    assert await store.parked("pages", keys, limit=20) == ordered[:20]
    assert await store.parked("pages", limit=0) == await store.parked("pages", []) == []


async def test_a_key_that_no_row_can_have_is_parked_beside_the_rows_that_can_be_kept(store):
    row = Row("a\x00b", 1, Page("a\x00b"))
    with pytest.raises(StoreError, match=r"'a\\x00b' of the projection 'pages' cannot be kept"):
        await store.apply([Change("pages", 0, 1, [row])])
    entry = parked("a\x00b", error="the row 'a\x00b' cannot be kept")
    await store.apply([park(0, entry, rows=[Row("a", 1, Page("a"))])])
    assert await store.count("pages") == 1
    assert await store.parked("pages") == [entry]


async def test_what_is_parked_again_replaces_what_was(store):
    first, again = parked("a"), parked("a", error="again", attempts=2)
    await store.apply([park(0, first, first)])
    await store.apply([park(1, again, unparked=[first])])
    skipped = parked("a", because="skipped", reason="no use", actor="ann")
    assert await store.parked("pages") == [again]
    await store.apply([park(2, again, skipped)])
    assert await store.parked("pages") == [skipped]
    await store.reset(PAGES)
    assert await store.parked("pages") == [skipped]


async def test_a_reset_forgets_what_is_parked_and_not_what_was_skipped(store):
    kept = parked("a", 2, because="skipped")
    await store.apply([park(0, parked("a"), kept), park(0, parked("b"), projection="shelves")])
    await store.reset(PAGES)
    assert await store.parked("pages") == [kept]
    assert (await store.checkpoint("pages")).parks
    assert await store.parked("shelves") == [parked("b")]
    await store.apply([park(0, unparked=[kept])])
    await store.reset(SHELVES)
    infos = await store.checkpoints(["pages", "shelves"])
    assert not any(info.parks for info in infos.values())


async def test_nothing_is_parked_by_a_call_that_fails(store):
    own = TableSpec("own", "1", schema=("CREATE TABLE owned (a int)",), tables=("owned",))
    await store.open([own])
    wrong = Change("own", 0, 1, statements=[Statement("INSERT INTO nowhere VALUES (1)")])
    with pytest.raises(StoreError, match="nowhere"):
        await store.apply([park(0, parked("a")), wrong])
    with pytest.raises(CheckpointMoved):
        await store.apply([park(3, parked("a"))])
    assert await store.parked("pages") == []
    assert not (await store.checkpoint("pages")).parks


async def test_inline_rows_park_in_the_transaction_of_the_log(store, other):
    failing = other.transaction()
    await failing.start()
    await store.within(other).apply([park(0, parked("a"))])
    await failing.rollback()
    assert await store.parked("pages") == []
    async with other.transaction():
        await store.within(other).apply([park(0, parked("a"))])
        assert (await store.within(other).checkpoint("pages")).parks
    assert await store.parked("pages") == [parked("a")]


async def test_whoever_waited_for_the_checkpoint_knows_what_was_parked_meanwhile(
    store, other, postgres_url
):
    second = await asyncpg.connect(postgres_url.partition("?")[0])
    try:
        async with second.transaction():
            inline = store.within(second)
            async with other.transaction():
                await store.within(other).apply([park(0, parked("a"))])
                late = asyncio.create_task(inline.checkpoint("pages"))
                await blocked(other, second.get_server_pid())
            info = await late
        assert (info.position, info.parks) == (1, True)
    finally:
        await second.close()


async def blocked(observer, pid):
    deadline = time.monotonic() + 20
    while not await observer.fetchval("SELECT pg_blocking_pids($1) <> '{}'", pid):
        assert time.monotonic() < deadline, f"waited 20 s for session {pid} to wait for a lock"
        await asyncio.sleep(0.01)


async def test_many_are_parked_at_once_and_found_by_index(store, other):
    entries = [parked(f"{number % 50}", number) for number in range(20_000)]
    await store.apply([park(0, *entries)])
    await other.execute("ANALYZE parked")
    found = await store.parked("pages", ["7", "nothing"])
    assert [one.position for one in found] == list(range(7, 20_000, 50))
    assert await store.parked("pages", limit=3) == entries[:3]
    plan = await other.fetch(
        "EXPLAIN SELECT entry FROM parked WHERE projection = 'pages' "
        "ORDER BY position, key, by_stream LIMIT 3"
    )
    assert "parked_by_position" in str(plan), plan
    await store.apply([park(1, unparked=entries)])
    assert await store.parked("pages") == []


async def test_people_can_read_what_is_parked(store, other):
    await store.apply([park(0, parked("a\x00b", error="it\x00failed"), parked("a", error="why"))])
    errors = await other.fetch("SELECT entry::json ->> 'error' FROM parked WHERE key = 'a'")
    assert [record[0] for record in errors] == ["why"]
    text = await other.fetchval("SELECT entry FROM parked WHERE key <> 'a'")
    assert '"key":"a\\u0000b"' in text
