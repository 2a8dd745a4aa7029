"""What two connections to one file do to each other, in every order of their steps."""

from __future__ import annotations

import asyncio

import apsw
import pytest

from diptych.adapters.sqlite.connection import connect_reading, connect_writing
from diptych.adapters.sqlite.event_log import SqliteEventLog
from diptych.adapters.sqlite.statements import all_rows, sql
from diptych.adapters.sqlite.url import locate
from diptych.errors import StoreUnavailable
from diptych.events.log import ANY_VERSION, Append, EventToStore, StreamAppend
from diptych.testing.permutations import Party, permute


class SqliteConnections:
    """Who is told that the file is locked waits, and tries again when somebody has moved."""

    def __init__(self, path):
        self.location = locate(path)
        self.moves = 0
        self.moved = asyncio.Condition()
        self.waiting = {}

    async def open(self, party):
        return connect_writing(self.location)

    async def run(self, connection, text):
        while True:
            try:
                rows = all_rows(connection, text)
            except apsw.BusyError as error:
                if error.extendedresult == apsw.SQLITE_BUSY_SNAPSHOT:
                    raise  # no patience helps
            else:
                await self.move()
                return rows[0][0] if rows else None
            self.waiting[connection] = seen = self.moves
            async with self.moved:
                await self.moved.wait_for(lambda seen=seen: self.moves > seen)

    async def move(self):
        self.moves += 1
        async with self.moved:
            self.moved.notify_all()

    async def is_waiting(self, connection):
        return self.waiting.get(connection) == self.moves

    def is_deadlock(self, error):
        return isinstance(error, apsw.BusyError)

    async def end(self, connection):
        if connection.in_transaction:
            connection.execute("ROLLBACK")

    async def close(self, connection):
        connection.close()


@pytest.fixture
async def log(tmp_path):
    log = SqliteEventLog(tmp_path / "log.db")
    await log.open()
    yield log
    await log.close()


@pytest.fixture
def connections(log, tmp_path):
    return SqliteConnections(tmp_path / "log.db")


def one_event(stream, expected=ANY_VERSION):
    event = EventToStore("Happened", 1, b"{}", b"{}")
    return Append((StreamAppend(stream, expected, (event,)),))


@pytest.fixture
def append(log, connections):
    """A step that appends one event in the transaction that its connection is in."""

    def step(stream):
        async def append(connection):
            return (await log.append_within(connection, one_event(stream))).first

        return append

    return step


class Following:
    """A reader of its own that looks after every step."""

    def __init__(self, location):
        self.connection = connect_reading(location)
        self.base = 0
        self.read = []

    async def prepare(self):
        ((self.base,),) = all_rows(self.connection, sql("select_head"))
        self.read = []

    async def watch(self):
        after = self.read[-1][0] if self.read else self.base
        self.read += all_rows(self.connection, sql("select_events"), (after, 1000))
        positions = [row[0] for row in self.read]
        assert positions == list(range(self.base + 1, self.base + 1 + len(positions)))

    def streams(self):
        return sorted(row[1] for row in self.read)


@pytest.fixture
def following(connections):
    following = Following(connections.location)
    yield following
    following.connection.close()


async def test_appends_of_two_connections_leave_no_gap_at_any_step(connections, following, append):
    parties = [
        Party("a", begin="BEGIN IMMEDIATE", append=append("a"), again=append("s"), end="COMMIT"),
        Party("b", begin="BEGIN IMMEDIATE", append=append("s"), end="COMMIT"),
        Party("c", begin="BEGIN IMMEDIATE", append=append("c"), end="ROLLBACK"),
    ]

    def check(run):
        assert run.errors == {}
        assert following.streams() == ["a", "s", "s"]
        versions = [row[2] for row in following.read if row[1] == "s"]
        assert versions[1] == versions[0] + 1

    runs = await permute(
        connections, parties, check, prepare=following.prepare, watch=following.watch, at_most=150
    )
    assert any(run.waited for run in runs)


async def test_the_short_road_of_a_lone_event_waits_or_sees_what_was_before(
    connections, following, append, log
):
    await log.append(one_event("s"))
    lone = sql("insert_lone_event")

    async def at_once(connection):
        """One statement: takes the lock, looks, writes and commits."""
        ((version,),) = all_rows(connection, "SELECT max(version) FROM events WHERE stream = 's'")
        try:
            connection.execute(lone, ("s", version, "Happened", 1, b"{}", b"{}", 1))
        except apsw.BusyError:
            return "locked"
        return connection.changes()

    parties = [
        Party("a", begin="BEGIN IMMEDIATE", append=append("s"), end="COMMIT"),
        Party("b", append=at_once),
    ]

    def check(run):
        assert run.errors == {}
        held = run.order.index("b") in {1, 2}
        assert run["b.append"] == ("locked" if held else 1)
        assert len(following.read) == (1 if held else 2)

    await permute(connections, parties, check, prepare=following.prepare, watch=following.watch)


async def test_a_reader_sees_one_moment_as_long_as_its_transaction_lasts(connections, append):
    head = sql("select_head")
    parties = [
        Party("reader", begin="BEGIN", look=head, again=head, end="COMMIT", later=head),
        Party("writer", begin="BEGIN IMMEDIATE", append=append("s"), end="COMMIT"),
    ]

    def check(run):
        assert run.errors == {}
        assert run.waited == []
        assert run["reader.look"] == run["reader.again"] <= run["reader.later"]

    runs = await permute(connections, parties, check)
    assert any(run["reader.again"] < run["reader.later"] for run in runs)


async def test_an_append_after_too_early_a_look_is_refused_whole_and_may_be_tried_again(
    connections, following, append
):
    head = sql("select_head")

    async def end(connection):
        kept = connection.in_transaction
        if kept:
            connection.execute("COMMIT")
        await connections.move()
        return kept

    parties = [
        Party("early", begin="BEGIN", look=head, append=append("early"), end="ROLLBACK"),
        Party("other", begin="BEGIN IMMEDIATE", append=append("other"), end=end),
    ]

    def check(run):
        assert set(run.errors) <= {"early.append"}
        for error in run.errors.values():
            assert isinstance(error, StoreUnavailable)
            assert error.retryable
        assert following.streams() == ["other"]

    runs = await permute(
        connections, parties, check, prepare=following.prepare, watch=following.watch
    )
    assert {bool(run.errors) for run in runs} == {True, False}


async def test_a_position_looked_up_before_the_lock_loses_an_event(connections, log):
    noted = {}

    def parts(name):
        async def look(connection):
            ((noted[name],),) = all_rows(connection, "SELECT coalesce(max(position), 0) FROM plain")

        async def insert(connection):
            statement = "INSERT OR IGNORE INTO plain VALUES (?, ?)"
            connection.execute(statement, (noted[name] + 1, name))

        return Party(name, look=look, insert=insert)

    aside = connect_writing(connections.location)
    aside.execute("CREATE TABLE plain (position INTEGER PRIMARY KEY, name TEXT)")

    async def prepare():
        aside.execute("DELETE FROM plain")

    def check(run):
        names = {name for (name,) in all_rows(aside, "SELECT name FROM plain")}
        assert names == {"a", "b"}, "an acknowledged event is lost"

    with pytest.raises(AssertionError, match="an acknowledged event is lost"):
        await permute(connections, [parts("a"), parts("b")], check, prepare=prepare)
    aside.close()
