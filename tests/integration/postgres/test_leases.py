"""Leases in PostgreSQL: real connections that race, stop and die at the lock of a checkpoint."""

from __future__ import annotations

import asyncio
import secrets
import time

import asyncpg
import pytest

from diptych.adapters.postgres import read_store as module
from diptych.adapters.postgres.changes import raise_unless_fit
from diptych.adapters.postgres.grant_application import grant_application
from diptych.adapters.postgres.read_store import PostgresReadStore
from diptych.errors import (
    CheckpointMoved,
    LeaseLost,
    OutcomeUnknown,
    SchemaTooNew,
    StoreUnavailable,
)
from diptych.queries.parked import Parked
from diptych.queries.read_model import ReadModel, shape_of
from diptych.queries.read_store import Change, CheckpointInfo, Lease, LeaseSwap, Row, TableSpec

pytestmark = pytest.mark.anyio


class Page(ReadModel, key="id"):
    id: str
    text: str = ""


PAGES, SHELVES = (TableSpec(name, "1", shape_of(Page)) for name in ("pages", "shelves"))
FIRST, SECOND, THIRD = Lease(1, "first"), Lease(2, "second"), Lease(3, "third")
ROADS = pytest.mark.parametrize("deleted", [(), ("old",)], ids=["one statement", "transaction"])


def page(after, key="a", *, upto=None, epoch=None, projection="pages", **more):
    upto = after + 1 if upto is None else upto
    return Change(projection, after, upto, [Row(key, upto, Page(key))], epoch=epoch, **more)


def swap(before, after, projection="pages"):
    return LeaseSwap(projection, before, after)


@pytest.fixture
async def store(postgres_url):
    store = PostgresReadStore(postgres_url)
    await store.open([PAGES, SHELVES])
    await store.swap_leases([swap(Lease(), FIRST)])
    yield store
    await store.close()


@pytest.fixture
async def elsewhere(store, postgres_url):
    """The same store with connections of its own, as another process has them."""
    other = PostgresReadStore(f"{postgres_url}&timeout_s=20&sslmode=prefer")
    await other.open([PAGES, SHELVES])
    yield other
    await other.close()


@pytest.fixture
async def other(postgres_url, postgres_schema):
    """A connection of somebody else."""
    connection = await asyncpg.connect(
        postgres_url.partition("?")[0],
        server_settings={"search_path": postgres_schema, "application_name": "ann's terminal"},
    )
    yield connection
    await connection.close()


@pytest.fixture
async def observer(postgres_url):
    connection = await asyncpg.connect(postgres_url.partition("?")[0])
    yield connection
    await connection.close()


async def until(condition, what, within_s=20):
    deadline = time.monotonic() + within_s
    while not (answer := await condition()):
        assert time.monotonic() < deadline, f"waited {within_s} s for {what}"
        await asyncio.sleep(0.01)
    return answer


async def waiting(observer, schema, count):
    """Wait until so many sessions of the store wait for a lock."""

    async def seen():
        found = await observer.fetchval(
            "SELECT count(DISTINCT pid) FROM pg_locks JOIN pg_stat_activity USING (pid) "
            "WHERE NOT granted AND application_name = $1",
            f"diptych {schema} writing",
        )
        return found >= count

    await until(seen, f"{count} sessions to wait for a lock")


@ROADS
async def test_a_swap_waits_for_the_apply_under_way(
    store, other, observer, postgres_schema, deleted
):
    async with other.transaction():
        await store.within(other).apply([page(0, epoch=1, deleted=deleted)])
        taken = asyncio.create_task(store.swap_leases([swap(FIRST, SECOND)]))
        await waiting(observer, postgres_schema, 1)
        assert not taken.done(), "the change could still be written after the swap had returned"
    assert await taken == [True]
    assert await store.count("pages") == 1
    assert (await store.checkpoint("pages"))[:1] == (1,)


async def test_an_apply_whose_process_died_is_not_written_after_the_swap(
    store, other, observer, postgres_schema
):
    transaction = other.transaction()
    await transaction.start()
    await store.within(other).apply([page(0, epoch=1)])
    taken = asyncio.create_task(store.swap_leases([swap(FIRST, SECOND)]))
    await waiting(observer, postgres_schema, 1)
    await observer.execute("SELECT pg_terminate_backend($1)", other.get_server_pid())
    assert await taken == [True]
    assert await store.count("pages") == 0
    for _ in range(500):
        if other.is_closed():
            break
        await asyncio.sleep(0.01)  # the news travels
    with pytest.raises(asyncpg.InterfaceError, match="closed"):
        await transaction.commit()


async def test_a_process_stopped_within_its_apply_loses_its_session(
    elsewhere, postgres_url, observer, postgres_schema
):
    stopped = PostgresReadStore(f"{postgres_url}&timeout_s=1&sslmode=allow")
    await stopped.open([PAGES])

    async def apply_and_stop():
        async with stopped._opened().transaction() as connection:
            await stopped.within(connection).apply([page(0, epoch=1)])
            assert await elsewhere.swap_leases([swap(FIRST, SECOND)]) == [True]

    with pytest.raises(OutcomeUnknown):
        await apply_and_stop()
    await stopped.close()
    assert await elsewhere.count("pages") == 0


@ROADS
async def test_an_apply_that_waited_for_a_swap_finds_its_lease_lost(
    store, other, observer, postgres_schema, deleted
):
    async with other.transaction():
        await other.execute("UPDATE checkpoints SET epoch = 2 WHERE projection = 'pages'")
        change = page(0, epoch=1, deleted=deleted)
        late = asyncio.create_task(store.apply([change]))
        await waiting(observer, postgres_schema, 1)
    with pytest.raises(LeaseLost) as caught:
        await late
    assert (caught.value.projection, caught.value.epoch, caught.value.actual) == ("pages", 1, 2)
    assert await store.count("pages") == 0


@ROADS
async def test_an_apply_that_waited_for_new_terms_of_its_own_lease_is_written(
    store, other, observer, postgres_schema, deleted
):
    async with other.transaction():
        await other.execute("UPDATE checkpoints SET terms = 'new' WHERE projection = 'pages'")
        late = asyncio.create_task(store.apply([page(0, epoch=1, deleted=deleted)]))
        await waiting(observer, postgres_schema, 1)
    await late
    assert await store.count("pages") == 1


@ROADS
@pytest.mark.parametrize(
    ("epoch", "after", "error"),
    [
        (2, 0, LeaseLost),
        (0, 0, LeaseLost),
        (2, 7, LeaseLost),
        (1, 7, CheckpointMoved),
        (None, 7, CheckpointMoved),
    ],
)
async def test_what_was_lost_is_said_exactly(store, deleted, epoch, after, error):
    with pytest.raises(error) as caught:
        await store.apply([page(after, epoch=epoch, deleted=deleted)])
    assert caught.value.actual == (1 if error is LeaseLost else 0)
    assert await store.count("pages") == 0


@ROADS
async def test_rows_change_where_the_checkpoint_stays(store, deleted):
    await store.apply([page(0, "old", upto=4, epoch=1)])
    await store.apply([page(4, "new", upto=4, epoch=1, deleted=deleted)])
    assert (await store.checkpoint("pages")).position == 4
    assert await store.count("pages") == 2 - len(deleted)
    with pytest.raises(CheckpointMoved):
        await store.apply([page(3, upto=3, epoch=1, deleted=deleted)])


async def test_one_lost_lease_keeps_all_projections_from_being_written(store):
    both = [page(0, projection="shelves"), page(0, epoch=9)]
    with pytest.raises(LeaseLost):
        await store.apply(both)
    with pytest.raises(LeaseLost):
        await store.apply([page(0, epoch=1), page(1, epoch=2)])
    assert await store.count("pages") == await store.count("shelves") == 0
    assert (await store.checkpoint("shelves")).position == 0


async def test_of_many_connections_one_takes_the_lease(store, elsewhere):
    before = FIRST
    for epoch in range(2, 12):
        tried = [
            each.swap_leases([swap(before, Lease(epoch, f"{number}"))])
            for number in range(4)
            for each in (store, elsewhere)
        ]
        done = await asyncio.gather(*tried)
        assert sorted(done) == [[False]] * 7 + [[True]]
        assert (await store.checkpoint("pages")).lease == Lease(epoch, f"{done.index([True]) // 2}")
        before = (await store.checkpoint("pages")).lease


async def test_swaps_and_applies_of_the_same_projections_never_wait_for_each_other(
    store, elsewhere
):
    async def apply():
        for after in range(40):
            await store.apply([page(after, projection=name) for name in ("shelves", "pages")])

    async def exchange(names):
        leases = {name: (await store.checkpoint(name)).lease for name in names}
        for _ in range(40):
            swaps = [swap(leases[name], Lease(leases[name].epoch + 1), name) for name in names]
            await elsewhere.swap_leases(swaps)
            leases = {name: (await store.checkpoint(name)).lease for name in names}

    await asyncio.gather(apply(), exchange(["shelves", "pages"]), exchange(["pages", "shelves"]))
    assert (await store.checkpoint("pages")).position == 40


async def test_a_lease_may_be_swapped_twice_in_one_call(store):
    swaps = [swap(FIRST, SECOND), swap(Lease(), FIRST, "shelves"), swap(SECOND, THIRD)]
    assert await store.swap_leases(swaps) == [True, True, True]
    assert await store.swap_leases([*swaps, swap(THIRD, FIRST)]) == [False, False, False, True]
    infos = await store.checkpoints(["pages", "shelves"])
    assert {name: info.lease for name, info in infos.items()} == {"pages": FIRST, "shelves": FIRST}


async def test_a_checkpoint_that_was_put_back_is_tried_again(store, monkeypatch):
    said = []

    async def first_refused(connection, prepared):
        said.append(prepared.change)
        return len(said) > 1 and await module_write(connection, prepared)

    module_write = module.write_fenced
    monkeypatch.setattr(module, "write_fenced", first_refused)
    await store.apply([page(0, epoch=1)])
    assert len(said) == 2
    assert await store.count("pages") == 1
    async with store._opened().writing() as connection:
        assert await raise_unless_fit(connection, store._schema, page(1, epoch=1)) is None


async def test_a_reset_keeps_the_lease(store):
    await store.apply([page(0, epoch=1)])
    await store.reset(PAGES)
    assert (await store.checkpoint("pages")).lease == FIRST
    with pytest.raises(LeaseLost):
        await store.apply([page(0, epoch=2)])
    await store.apply([page(0, epoch=1)])


async def test_who_holds_writes_up_is_named(store, other):
    assert await store.held_up_by() == ""
    async with other.transaction():
        await other.execute("SELECT FROM checkpoints WHERE projection = 'pages' FOR UPDATE")
        late = asyncio.create_task(store.apply([page(0)]))
        said = await until(store.held_up_by, "the session that holds the lock to be named")
    assert f"session {other.get_server_pid()} (ann's terminal, idle in transaction)" in said
    await late
    assert await store.held_up_by() == ""


async def test_a_replica_swaps_nothing(store, postgres_url, replica_url):
    copy = PostgresReadStore(replica_url)

    async def opened():
        try:
            await copy.open([PAGES])
        except StoreUnavailable:
            return False
        return (await copy.checkpoint("pages")).lease == FIRST

    await until(opened, "the replica")
    for write in (
        copy.swap_leases([swap(FIRST, SECOND)]),
        copy.switch({"pages": "served"}, {"pages": "kept"}),
        copy.drop(PAGES),
        copy.apply([page(0, epoch=1)]),
        copy.apply([page(0, parked=[Parked("a", 1, "s", "T")])]),
    ):
        with pytest.raises(StoreUnavailable, match="takes no writes"):
            await write
    assert await copy.parked("pages") == []
    assert await copy.held_up_by() == ""
    assert await copy.is_copy()
    await copy.close()


async def test_an_application_role_swaps_and_parks(store, postgres, postgres_url, postgres_schema):
    name = f"app_{secrets.token_hex(5)}"
    owner = await asyncpg.connect(postgres.primary)
    await owner.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'pw'")
    await owner.execute(
        "".join(
            f"CREATE TABLE {postgres_schema}.{table} (); "
            for table in ("log", "events", "event_tags", "commands", "snapshots")
        )
    )
    await grant_application(postgres_url, name)
    app = PostgresReadStore(f"postgresql://{name}:pw@{postgres_url.rpartition('@')[2]}")
    try:
        await app.open([PAGES, TableSpec("pages__1", "1", shape_of(Page))])
        assert await app.swap_leases([swap(FIRST, SECOND)]) == [True]
        await app.apply([page(0, epoch=2, parked=[Parked("a", 1, "s", "T")])])
        assert [one.key for one in await store.parked("pages")] == ["a"]
        assert await app.switch({"pages__1": "building"}, {"pages__1": "kept"})
        await app.drop(TableSpec("pages__1", "1", shape_of(Page)))
    finally:
        await app.close()
        await owner.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
        await owner.close()


# ------------------------------------------------------------------------- read models of version 1

VERSION_1 = """
CREATE TABLE read_store (version integer NOT NULL);
CREATE TABLE checkpoints (
    projection text COLLATE "C" PRIMARY KEY,
    position bigint NOT NULL DEFAULT 0,
    fingerprint text NOT NULL DEFAULT ''
) WITH (fillfactor = 50);
INSERT INTO read_store (version) VALUES (1);
COMMENT ON TABLE read_store IS 'read models 6a1f';
CREATE TABLE pages (
    _position bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    text text COLLATE "C" NOT NULL,
    PRIMARY KEY (id)
) WITH (fillfactor = 90);
INSERT INTO checkpoints (projection) VALUES ('pages') ON CONFLICT DO NOTHING;
UPDATE checkpoints SET position = 5, fingerprint = '1' WHERE projection = 'pages';
INSERT INTO pages VALUES (5, 'a', 'kept')
"""
WRITE_AS_VERSION_1 = (
    "WITH moved AS (UPDATE checkpoints AS c SET position = $2::bigint, fingerprint = "
    "CASE WHEN c.position = 0 THEN $3::text ELSE c.fingerprint END "
    "WHERE c.projection = 'pages' AND c.position = $1::bigint RETURNING 1), "
    "written AS (INSERT INTO pages AS t (_position, id, text) SELECT u.c0, u.c1, u.c2 "
    "FROM unnest($4::bigint[], $5::text[], $6::text[]) AS u (c0, c1, c2) "
    "WHERE EXISTS (SELECT FROM moved) ON CONFLICT (id) DO UPDATE SET _position = "
    "excluded._position, text = excluded.text) SELECT FROM moved"
)


@pytest.fixture
async def version_1(other, postgres_schema):
    await other.execute(f'CREATE SCHEMA "{postgres_schema}"')
    await other.execute(VERSION_1)
    return other


async def test_read_models_of_version_1_are_brought_up(version_1, postgres_url):
    write = await version_1.prepare(WRITE_AS_VERSION_1)
    look = await version_1.prepare("SELECT position, fingerprint FROM checkpoints")
    assert await write.fetch(5, 6, "1", [6], ["b"], ["by 1"]) == [()]
    stores = [PostgresReadStore(postgres_url), PostgresReadStore(f"{postgres_url}&sslmode=prefer")]
    await asyncio.gather(*(each.open([PAGES]) for each in stores))
    for store in stores:
        info = await store.checkpoint("pages")
        assert info == CheckpointInfo(6, "1", Lease(), parks=False, role="served")
        assert [tuple(one) for one in await store.generations("pages")] == [
            ("pages", "served", 6, "1")
        ]
    assert await version_1.fetchval("SELECT version FROM read_store") == 2
    # A process of version 1 goes on with the statements that it has prepared.
    assert await write.fetch(6, 7, "1", [7], ["c"], ["by 1"]) == [()]
    assert (await look.fetchrow())["position"] == 7
    await stores[0].apply([page(7, parked=[Parked("a", 8, "s", "T")])])
    assert await stores[1].count("pages") == 3
    assert (await stores[1].load("pages", ["b"])).rows["b"].value == Page("b", "by 1")
    for store in stores:
        await store.close()


async def test_a_table_in_the_way_of_version_2_leaves_version_1_as_it_was(version_1, postgres_url):
    await version_1.execute("CREATE TABLE parked (car text)")
    with pytest.raises(module.ConfigurationError, match="'parked' that is not diptych's"):
        await PostgresReadStore(postgres_url).open([PAGES])
    assert await version_1.fetchval("SELECT version FROM read_store") == 1
    columns = (
        "SELECT count(*) FROM pg_attribute WHERE attrelid = 'checkpoints'::regclass AND attnum > 0"
    )
    assert await version_1.fetchval(columns) == 3


async def test_a_replica_of_version_1_waits_for_its_primary(version_1, replica_url):
    copy = PostgresReadStore(replica_url)

    async def said():
        try:
            await copy.open([PAGES])
        except StoreUnavailable as error:
            return "has not replayed parked of schema" in str(error)

    await until(said, "the replica to miss the table of version 2")


async def test_newer_read_models_are_refused(store, other, postgres_url):
    await other.execute("UPDATE read_store SET version = 3")
    with pytest.raises(SchemaTooNew) as caught:
        await PostgresReadStore(postgres_url).open([PAGES])
    assert (caught.value.found, caught.value.known) == (3, 2)
