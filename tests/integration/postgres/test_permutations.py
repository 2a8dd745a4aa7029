"""What appends, readers and checkpoints do to each other, in every order of their steps.

Beside each promise stands a control that does it the plain way, and is caught.
"""

from __future__ import annotations

import asyncio
import contextlib

import asyncpg
import pytest

from diptych.adapters.postgres.changes import write_changes, write_fenced
from diptych.adapters.postgres.event_log import PostgresEventLog
from diptych.adapters.postgres.read_store import PostgresReadStore
from diptych.adapters.postgres.statements import sql
from diptych.errors import CheckpointMoved, ConfigurationError, StoreError, StoreUnavailable
from diptych.events.log import ANY_VERSION, Append, EventToStore, StreamAppend
from diptych.queries.projection import plan_of
from diptych.queries.read_store import Change, Row
from diptych.testing.permutations import Party, permute
from diptych_examples.bank.bank import Balance, Balances


class PostgresConnections:
    """Who waits is seen in pg_locks, on a connection beside the others."""

    def __init__(self, url, observer):
        self.url = url
        self.observer = observer

    async def open(self, party):
        connection = await asyncpg.connect(self.url)
        # A deadlock is looked for at once; nobody else has to be spared here.
        await connection.execute("SET deadlock_timeout = '20ms'")
        return connection

    async def run(self, connection, text):
        return await connection.fetchval(text)

    async def is_waiting(self, connection):
        pid = connection.get_server_pid()
        statement = "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $1 AND NOT granted)"
        return await self.observer.fetchval(statement, pid)

    def is_deadlock(self, error):
        errors = (error, error.__cause__)  # ours say what the driver's mean
        return any(isinstance(one, asyncpg.DeadlockDetectedError) for one in errors)

    async def end(self, connection):
        await connection.execute("ROLLBACK" if connection.is_in_transaction() else "SELECT")
        await connection.execute("RESET ALL; SET deadlock_timeout = '20ms'")

    async def close(self, connection):
        await connection.close()


@pytest.fixture
async def log(postgres_url):
    log = PostgresEventLog(postgres_url)
    await log.open()
    yield log
    await log.close()


@pytest.fixture
async def observer(postgres):
    connection = await asyncpg.connect(postgres.primary)
    yield connection
    await connection.close()


@pytest.fixture
def connections(postgres, observer):
    return PostgresConnections(postgres.primary, observer)


@pytest.fixture
def append_event(postgres_schema):
    """A step that appends one event to a stream with our own function, and gives its position."""
    statement = sql("append_event", postgres_schema)

    def step(stream, expected=ANY_VERSION):
        async def append(connection):
            return await connection.fetchval(
                statement, stream, expected, "Happened", 1, b"{}", b"{}", 1
            )

        return append

    return step


class Following:
    """A reader that looks after every step, and what it has read since the order began."""

    def __init__(self, observer, schema):
        self.observer = observer
        self.schema = schema
        self.base = 0
        self.read = []

    async def prepare(self):
        statement = f'SELECT coalesce(max(position), 0) FROM "{self.schema}".events'
        self.base = await self.observer.fetchval(statement)
        self.read = []

    async def watch(self):
        after = self.read[-1]["position"] if self.read else self.base
        statement = (
            f'SELECT position, stream, version FROM "{self.schema}".events '
            "WHERE position > $1 ORDER BY position"
        )
        self.read += await self.observer.fetch(statement, after)
        # Dense at every moment, from where the order began.
        positions = [row["position"] for row in self.read]
        assert positions == list(range(self.base + 1, self.base + 1 + len(positions)))

    async def check_all_read(self):
        """What was read on the way is all there is, and each stream came in its order."""
        statement = f'SELECT count(*) FROM "{self.schema}".events WHERE position > $1'
        assert await self.observer.fetchval(statement, self.base) == len(self.read)
        versions = {}
        for row in self.read:
            expected = versions.get(row["stream"])
            assert expected is None or row["version"] == expected + 1, "a stream out of order"
            versions[row["stream"]] = row["version"]


@pytest.fixture
def following(observer, postgres_schema, log):
    return Following(observer, postgres_schema)


# -- order -----------------------------------------------------------------------------------------


EARLY = "SELECT pg_current_xact_id()::text"


async def test_appends_leave_no_gap_for_a_reader_at_any_step(connections, following, append_event):
    parties = [
        Party("a", begin="BEGIN", append=append_event("a"), end="COMMIT"),
        Party("b", begin="BEGIN", append=append_event("b"), end="ROLLBACK"),
        Party("c", append=append_event("c"), again=append_event("c")),
    ]

    async def check(run):
        assert run.errors == {}
        await following.check_all_read()
        assert len(following.read) == 3

    runs = await permute(
        connections,
        parties,
        check,
        prepare=following.prepare,
        watch=following.watch,
        at_most=150,
    )
    assert sum(bool(run.waited) for run in runs) > len(runs) / 2


async def test_our_own_append_without_its_lock_is_caught(
    connections, following, append_event, observer, postgres_schema
):
    statement = "SELECT pg_get_functiondef($1::regproc)"
    whole = await observer.fetchval(statement, f'"{postgres_schema}".append_event_v1')
    lines = whole.splitlines(keepends=True)
    await observer.execute("".join(one for one in lines if "pg_advisory_xact_lock" not in one))
    parties = [Party(name, begin="BEGIN", append=append_event(name), end="COMMIT") for name in "ab"]

    def check(run):
        assert run.errors == {}

    with pytest.raises(AssertionError, match="UniqueViolationError"):
        await permute(connections, parties, check, prepare=following.prepare, watch=following.watch)


async def test_f07_a_transaction_id_taken_early_turns_nothing_round(
    connections, following, append_event
):
    parties = [
        Party("a", begin="BEGIN", early=EARLY, append=append_event("s"), end="COMMIT"),
        Party("b", begin="BEGIN", append=append_event("s"), end="COMMIT"),
    ]

    async def check(run):
        assert run.errors == {}
        await following.check_all_read()
        assert len(following.read) == 2

    runs = await permute(
        connections, parties, check, prepare=following.prepare, watch=following.watch
    )
    assert len(runs) == 35


@pytest.mark.parametrize("streams", ["s s", "s t"])
async def test_our_own_reader_misses_nothing_and_turns_nothing_round(
    streams, connections, append_event, log
):
    """As a subscription reads: on from what it has read, after every step, waiting for nobody."""
    one, other = map(append_event, streams.split())
    parties = [
        Party("a", begin="BEGIN", early=EARLY, append=one, end="COMMIT"),
        Party("b", begin="BEGIN", append=other, end="COMMIT", later="SELECT 1"),
    ]
    base, read = 0, []

    async def prepare():
        nonlocal base
        base = await log.head()
        read.clear()

    async def watch():
        try:
            async with asyncio.timeout(5):
                read.extend(await log.read(read[-1].position if read else base, 100))
        except TimeoutError:
            raise AssertionError("the reader waits for somebody who writes") from None

    async def check(run):
        assert run.errors == {}
        await watch()
        assert len(read) == 2, "an event was never read"
        assert read == await log.read(base, 100), "read again, the log is another"
        for stream in set(streams.split()):
            versions = [event.version for event in read if event.stream == stream]
            assert versions == sorted(versions), "a stream out of order"

    await permute(connections, parties, check, prepare=prepare, watch=watch)


async def test_f07_the_order_of_transaction_ids_turns_a_stream_round(
    connections, observer, postgres_schema, log
):
    table = f'"{postgres_schema}".by_xid'
    await observer.execute(
        f"CREATE TABLE {table} (xid xid8 DEFAULT pg_current_xact_id(), "
        "position bigserial, version int)"
    )
    # One at a time, and the version is right: only the order of reading is naive.
    append = (
        f"WITH turn AS MATERIALIZED (SELECT count(*) AS before FROM {table}) "
        f"INSERT INTO {table} (version) SELECT before + 1 FROM turn RETURNING version"
    )
    lock = f"LOCK TABLE {table} IN EXCLUSIVE MODE"
    parties = [
        Party("a", begin="BEGIN", early=EARLY, lock=lock, append=append, end="COMMIT"),
        Party("b", begin="BEGIN", lock=lock, append=append, end="COMMIT"),
    ]

    async def prepare():
        await observer.execute(f"TRUNCATE {table}")

    async def check(run):
        assert run.errors == {}
        rows = await observer.fetch(f"SELECT version FROM {table} ORDER BY xid, position")
        assert [row["version"] for row in rows] == [1, 2], "a stream out of order"

    with pytest.raises(AssertionError, match="a stream out of order") as failed:
        await permute(connections, parties, check, prepare=prepare, at_most=200)
    assert "In the order a a b" in str(failed.value)


async def test_a_sequence_loses_an_event_for_its_reader(
    connections, observer, postgres_schema, log
):
    table = f'"{postgres_schema}".by_sequence'
    await observer.execute(f"CREATE TABLE {table} (position bigserial, name text)")
    parties = [
        Party(name, begin="BEGIN", append=f"INSERT INTO {table} (name) VALUES ('x')", end="COMMIT")
        for name in "ab"
    ]
    read = []

    async def prepare():
        read.clear()
        await observer.execute(f"TRUNCATE {table} RESTART IDENTITY")

    async def watch():
        statement = f"SELECT position FROM {table} WHERE position > $1 ORDER BY position"
        rows = await observer.fetch(statement, read[-1] if read else 0)
        read.extend(row["position"] for row in rows)

    def check(run):
        assert read == [1, 2], "an event was never read"

    with pytest.raises(AssertionError, match="an event was never read"):
        await permute(connections, parties, check, prepare=prepare, watch=watch)


async def test_an_append_that_gives_way_to_a_conflict_loses_its_event(
    connections, observer, postgres_schema, log
):
    table = f'"{postgres_schema}".giving_way'
    await observer.execute(f"CREATE TABLE {table} (position bigint PRIMARY KEY, name text)")

    def append(name):
        return (
            f"INSERT INTO {table} SELECT coalesce(max(position), 0) + 1, '{name}' FROM {table} "
            "ON CONFLICT DO NOTHING"
        )

    parties = [Party(one, begin="BEGIN", append=append(one), end="COMMIT") for one in "ab"]

    async def prepare():
        await observer.execute(f"TRUNCATE {table}")

    async def check(run):
        assert run.errors == {}
        names = {row["name"] for row in await observer.fetch(f"SELECT name FROM {table}")}
        assert names == {"a", "b"}, "an acknowledged event is lost"

    with pytest.raises(AssertionError, match="an acknowledged event is lost"):
        await permute(connections, parties, check, prepare=prepare)


async def test_of_two_appends_to_one_version_one_is_refused_in_every_order(
    connections, following, append_event, log
):
    parties = [
        Party(name, begin="BEGIN", append=append_event("new", 0), end="COMMIT") for name in "ab"
    ]
    number = 0

    async def prepare():
        nonlocal number
        number += 1
        for party in parties:
            party.texts = ("BEGIN", append_event(f"new-{number}", 0), "COMMIT")
        await following.prepare()

    async def check(run):
        assert run.errors == {}
        gave = sorted([run["a.append"], run["b.append"]])
        assert gave == [-2, following.base + 1]  # one stands where the other says it stands
        await following.check_all_read()

    runs = await permute(connections, parties, check, prepare=prepare, watch=following.watch)
    assert len(runs) == 20


# -- the fence between two runners -----------------------------------------------------------------


@pytest.fixture
async def balances(postgres_url):
    store = PostgresReadStore(postgres_url)
    await store.open([plan_of(Balances).table])
    yield store
    await store.close()


def change(after, upto, pence):
    return Change("balances", after, upto, [Row("a", upto, Balance("a", pence))])


async def fenced(store, schema, connection, one, *, single):
    """Write a change as a runner does; False when the fence refused it."""
    (prepared,) = store._projections.prepare([one])
    if single:
        return await write_fenced(connection, prepared)
    own = contextlib.nullcontext() if connection.is_in_transaction() else connection.transaction()
    with contextlib.suppress(CheckpointMoved):
        async with own:
            await write_changes(connection, schema, [prepared])
        return True
    return False


@pytest.mark.parametrize("single", [True, False], ids=["one statement", "several statements"])
async def test_of_two_runners_one_applies_in_every_order(
    connections, balances, postgres_schema, observer, single
):
    await balances.apply([change(0, 1, 1)])
    base = 1

    def apply(pence):
        async def step(connection):
            one = change(base, base + 1, pence)
            return await fenced(balances, postgres_schema, connection, one, single=single)

        return step

    parties = [
        Party("a", begin="BEGIN", apply=apply(10), end="COMMIT"),
        Party("b", begin="BEGIN", apply=apply(20), end="COMMIT"),
        Party("c", apply=apply(30)),
    ]

    async def check(run):
        nonlocal base
        assert run.errors == {}
        applied = {name: run[f"{name}.apply"] for name in "abc"}
        assert sorted(applied.values()) == [False, False, True]
        pence = next(n for name, n in (("a", 10), ("b", 20), ("c", 30)) if applied[name])
        loaded = await balances.load("balances", ["a"])
        assert loaded.checkpoint == base + 1
        assert loaded.rows["a"].value == Balance("a", pence)
        base += 1

    runs = await permute(connections, parties, check, at_most=140)
    assert any(run.waited for run in runs)


async def test_a_runner_whose_rival_takes_everything_back_applies_after_it(
    connections, balances, postgres_schema
):
    await balances.apply([change(0, 1, 1)])
    base = 1

    def apply(pence):
        async def step(connection):
            one = change(base, base + 1, pence)
            return await fenced(balances, postgres_schema, connection, one, single=True)

        return step

    parties = [
        Party("a", begin="BEGIN", apply=apply(10), end="ROLLBACK"),
        Party("b", apply=apply(20)),
    ]

    async def check(run):
        nonlocal base
        assert run["b.apply"]
        loaded = await balances.load("balances", ["a"])
        assert (loaded.checkpoint, loaded.rows["a"].value.pence) == (base + 1, 20)
        base += 1

    await permute(connections, parties, check)


# -- deadlocks, time limits, isolation levels ------------------------------------------------------


def one_event(stream):
    event = EventToStore("Happened", 1, b"{}", b"{}")
    return Append((StreamAppend(stream, ANY_VERSION, (event,)),))


@pytest.fixture
async def rows(observer, postgres_schema):
    """A table of the user with two rows."""
    table = f'"{postgres_schema}".own'
    await observer.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, n int)")
    await observer.execute(f"INSERT INTO {table} VALUES (1, 0), (2, 0)")
    return table


class InOneTransaction:
    """Steps within one transaction of asyncpg, which knows what it has begun."""

    def __init__(self, log, table, name, isolation="read_committed"):
        self.log, self.table, self.name, self.isolation = log, table, name, isolation
        self.running = None

    async def begin(self, connection):
        self.running = connection.transaction(isolation=self.isolation)
        await self.running.start()

    async def change(self, connection):
        await connection.execute(f"UPDATE {self.table} SET n = n + 1 WHERE id = 1")

    async def append(self, connection):
        return await self.log.append_within(connection, one_event(self.name))

    async def end(self, connection):
        if connection.is_in_transaction():
            if await self.failed(connection):
                await self.running.rollback()
                return False
            await self.running.commit()
        return True

    async def failed(self, connection):
        try:
            await connection.execute("SELECT")
        except asyncpg.InFailedSQLTransactionError:
            return True
        return False


class Hasty(InOneTransaction):
    """Waits for a lock no longer than a moment."""

    def __init__(self, log, table, name):
        super().__init__(log, table, name)
        self.rests = asyncio.Event()
        self.rests.set()

    async def hurry(self, connection):
        await connection.execute("SET LOCAL lock_timeout = '5ms'")

    async def append(self, connection):
        self.rests.clear()
        try:
            return await super().append(connection)
        finally:
            self.rests.set()


def in_order(writer, *names):
    return Party(writer.name, **{name: getattr(writer, name) for name in names})


async def counted(observer, rows):
    return await observer.fetchval(f"SELECT n FROM {rows} WHERE id = 1")


async def test_f14_of_a_deadlock_one_transaction_is_whole_the_other_may_be_tried_again(
    connections, following, observer, log, rows
):
    first, last = InOneTransaction(log, rows, "first"), InOneTransaction(log, rows, "last")
    parties = [
        in_order(first, "begin", "append", "change", "end"),
        in_order(last, "begin", "change", "append", "end"),
    ]
    before = 0

    async def prepare():
        nonlocal before
        before = await counted(observer, rows)
        await following.prepare()

    async def check(run):
        kept = [name for name in ("first", "last") if run[f"{name}.end"]]
        for name, error in run.errors.items():
            told = error
            if name == "last.append":  # ours: translated, and may be tried again
                assert isinstance(error, StoreUnavailable)
                assert error.retryable
                assert "Append last in a transaction, and try again" in str(error)
                told = error.__cause__
            assert isinstance(told, asyncpg.DeadlockDetectedError)
        assert len(kept) == 2 - len(run.deadlocked)
        assert len(run.deadlocked) <= 1
        # Nothing is half done: the rows and the events of the same transactions.
        assert await counted(observer, rows) == before + len(kept)
        await following.check_all_read()
        assert sorted(row["stream"] for row in following.read) == kept

    runs = await permute(connections, parties, check, prepare=prepare, watch=following.watch)
    assert len(runs) == 70
    assert any(run.deadlocked for run in runs)
    assert any(not run.deadlocked and run.waited for run in runs)


async def test_f14_what_lost_a_deadlock_succeeds_when_it_is_tried_again(
    connections, following, observer, log, rows
):
    first, last = InOneTransaction(log, rows, "first"), InOneTransaction(log, rows, "last")

    def whole(writer, *names):
        async def step(connection):
            for _ in range(5):
                try:
                    for name in names:
                        await getattr(writer, name)(connection)
                except (StoreUnavailable, asyncpg.DeadlockDetectedError):
                    await writer.running.rollback()
                else:
                    return
            raise AssertionError("tried five times in vain")

        return step

    async def hold(connection):
        await connection.execute("BEGIN")
        await connection.execute(f"SELECT FROM {rows} WHERE id = 1 FOR UPDATE")

    parties = [
        Party("holder", hold=hold, free="COMMIT"),
        Party("first", all=whole(first, "begin", "append", "change", "end")),
        Party("last", all=whole(last, "begin", "change", "append", "end")),
    ]
    done = 0

    async def check(run):
        nonlocal done
        assert run.errors == {}
        done += 2
        assert await counted(observer, rows) == done
        await following.check_all_read()
        assert len(following.read) == 2

    await permute(connections, parties, check, prepare=following.prepare, watch=following.watch)


async def test_f14_an_append_that_may_not_wait_so_long_leaves_nothing_behind(
    connections, following, observer, log, rows, append_event
):
    hasty = Hasty(log, rows, "hasty")

    async def linger(connection):
        """Hold on to the lock for as long as the other one has patience."""
        async with asyncio.timeout(20):
            await hasty.rests.wait()

    parties = [
        Party("slow", begin="BEGIN", append=append_event("slow"), linger=linger, end="COMMIT"),
        in_order(hasty, "begin", "hurry", "change", "append", "end"),
    ]
    before = 0

    async def prepare():
        nonlocal before
        before = await counted(observer, rows)
        await following.prepare()

    async def check(run):
        kept = run["hasty.end"]
        assert set(run.errors) == (set() if kept else {"hasty.append"})
        for error in run.errors.values():
            assert isinstance(error, StoreUnavailable)
            assert error.retryable
            assert isinstance(error.__cause__, asyncpg.LockNotAvailableError)
        assert await counted(observer, rows) == before + kept
        await following.check_all_read()
        assert len(following.read) == 1 + kept

    runs = await permute(connections, parties, check, prepare=prepare, watch=following.watch)
    assert {bool(run.errors) for run in runs} == {True, False}


@pytest.mark.parametrize("isolation", ["repeatable_read", "serializable"])
async def test_f14_a_transaction_that_sees_too_little_may_not_append(
    connections, following, observer, log, rows, append_event, isolation
):
    blind = InOneTransaction(log, rows, "blind", isolation)
    seeing = InOneTransaction(log, rows, "seeing")
    parties = [
        in_order(blind, "begin", "change", "append", "end"),
        in_order(seeing, "begin", "change", "append", "end"),
        Party("third", append=append_event("third")),
    ]

    async def check(run):
        if "blind.change" in run.errors:  # the row was changed since its snapshot
            assert isinstance(run.errors["blind.change"], asyncpg.SerializationError)
            assert isinstance(run.errors["blind.append"], StoreError)
        else:
            assert isinstance(run.errors["blind.append"], ConfigurationError)
            assert "has to be READ COMMITTED" in str(run.errors["blind.append"])
        assert {name.partition(".")[0] for name in run.errors} == {"blind"}
        await following.check_all_read()
        assert sorted(row["stream"] for row in following.read) == ["seeing", "third"]

    runs = await permute(
        connections,
        parties,
        check,
        prepare=following.prepare,
        watch=following.watch,
        at_most=60,
    )
    assert {"blind.change" in run.errors for run in runs} == {True, False}
