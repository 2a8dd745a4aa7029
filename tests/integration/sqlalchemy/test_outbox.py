"""The outbox: rows of a session and events of the log share one fate, on both databases."""

# ruff: noqa: PT012  the block as a whole is what must fail

from __future__ import annotations

import asyncio

import pytest
from orm_shop import OrderRow, log_at, pause, rows
from sqlalchemy import event, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from diptych import Event
from diptych.adapters.sqlalchemy import Outbox, engine_for
from diptych.adapters.sqlite.url import locate
from diptych.errors import ConfigurationError, VersionConflict
from diptych.events.log import ANY_VERSION, Append, EventToStore, StreamAppend


class Told(Event, stream="told-{about}"):
    about: str
    number: int = 0


class Whispered(Event):
    about: str


class GaveUp(Exception):
    pass


@pytest.fixture
async def log(url):
    log = log_at(url)
    await log.open()
    yield log
    await log.close()


@pytest.fixture
async def engine(url):
    engine = engine_for(url)
    yield engine
    await engine.dispose()


def order(number: int) -> OrderRow:
    return OrderRow(order_id=f"o-{number}", customer="ada", number=number)


async def test_rows_and_events_commit_together(url, log, engine):
    outbox = Outbox(log)
    async with AsyncSession(engine) as session:
        async with outbox.unit_of_work(session) as work:
            session.add(order(1))
            work.record(Told("o-1", 1), Told("o-2", 2))
            work.record(Told("o-1", 3))
        assert work.token.position == 3
    assert await rows(url, OrderRow.__table__) == [("o-1", "ada", 1)]
    stored = await log.read(0, 10)
    assert [(one.stream, one.version) for one in stored] == [
        ("told-o-1", 1),
        ("told-o-1", 2),
        ("told-o-2", 1),
    ]


async def test_an_error_leaves_neither_rows_nor_events(url, log, engine):
    outbox = Outbox(log)
    async with AsyncSession(engine) as session:
        with pytest.raises(GaveUp):
            async with outbox.unit_of_work(session) as work:
                session.add(order(1))
                await session.flush()
                work.record(Told("o-1"))
                raise GaveUp
        assert work.token is None
        with pytest.raises(IntegrityError):
            async with outbox.unit_of_work(session) as work:
                session.add_all([order(1), OrderRow(order_id="o-2", customer="b", number=1)])
                work.record(Told("o-1"))
    assert await rows(url, OrderRow.__table__) == []
    assert await log.head() == 0


async def test_a_conflict_of_the_stream_takes_the_rows_back(url, log, engine):
    outbox = Outbox(log)
    for expected in (0, 1):
        async with AsyncSession(engine) as session, outbox.unit_of_work(session) as work:
            work.record(Told("a"), expected_version=expected)
    async with AsyncSession(engine) as session:
        with pytest.raises(VersionConflict):
            async with outbox.unit_of_work(session) as work:
                session.add(order(1))
                work.record(Told("a"), expected_version=1)
    assert await rows(url, OrderRow.__table__) == []
    assert await log.head() == 2


async def test_without_events_the_session_just_commits(url, log, engine):
    async with AsyncSession(engine) as session, Outbox(log).unit_of_work(session) as work:
        session.add(order(1))
    assert work.token.nothing_changed
    assert len(await rows(url, OrderRow.__table__)) == 1


async def test_an_event_needs_a_stream(log, engine):
    async with AsyncSession(engine) as session:
        with pytest.raises(ConfigurationError, match=r'class Whispered\(Event, stream="order'):
            async with Outbox(log).unit_of_work(session) as work:
                work.record(Whispered("x"))
        async with Outbox(log).unit_of_work(session) as work:
            work.record(Whispered("x"), stream="whispers")
    assert [one.stream for one in await log.read(0, 10)] == ["whispers"]


async def test_what_a_flush_makes_pending_goes_before_the_append(url, log, engine):
    async with AsyncSession(engine) as session:

        @event.listens_for(session.sync_session, "after_flush")
        def one_more(sync_session, _) -> None:
            if any(row.number == 1 for row in sync_session.new):
                sync_session.add(order(2))

        async with Outbox(log).unit_of_work(session) as work:
            session.add(order(1))
            work.record(Told("o-1"))
    assert len(await rows(url, OrderRow.__table__)) == 2


async def test_what_a_hook_writes_after_the_append_is_refused(url, log, engine):
    async with AsyncSession(engine) as session:

        @event.listens_for(session.sync_session, "before_commit")
        def too_late(sync_session) -> None:
            sync_session.execute(insert(OrderRow).values(order_id="x", customer="x", number=9))

        with pytest.raises(ConfigurationError, match="after the events were appended"):
            async with Outbox(log).unit_of_work(session) as work:
                session.add(order(1))
                work.record(Told("o-1"))
        event.remove(session.sync_session, "before_commit", too_late)
        async with Outbox(log).unit_of_work(session) as work:  # the connection is as good as new
            session.add(order(1))
            work.record(Told("o-1"))
        assert (await session.scalars(select(OrderRow.order_id))).all() == ["o-1"]
    assert await rows(url, OrderRow.__table__) == [("o-1", "ada", 1)]


async def test_a_session_that_commits_every_statement_is_refused(log, engine):
    alone = engine.execution_options(isolation_level="AUTOCOMMIT")
    async with AsyncSession(alone) as session:
        with pytest.raises(ConfigurationError, match="no transaction"):
            async with Outbox(log).unit_of_work(session) as work:
                work.record(Told("o-1"))
    assert await log.head() == 0


async def test_another_database_is_refused(log, tmp_path):
    other = create_async_engine(f"sqlite+apsw:///{tmp_path}/other.db")
    async with AsyncSession(other) as session:
        with pytest.raises(ConfigurationError):
            async with Outbox(log).unit_of_work(session) as work:
                work.record(Told("o-1"))
    await other.dispose()
    assert await log.head() == 0


async def test_events_stand_in_the_order_of_commits_while_a_reader_follows(url, log, chance):
    engine = engine_for(url, pool_size=16)
    outbox, each, writers = Outbox(log), 12, 16
    seen: list[int] = []
    committed: list[tuple[int, str]] = []

    async def follow() -> None:
        other = log_at(url)
        await other.open()
        while len(seen) < each * writers:
            await other.wait(len(seen))
            page = await other.read(len(seen), 7)
            assert [one.position for one in page] == list(
                range(len(seen) + 1, len(seen) + 1 + len(page))
            ), "an event appeared behind the reader"
            seen.extend(one.position for one in page)
        await other.close()

    async def write(name: int) -> None:
        for number in range(each):
            async with AsyncSession(engine) as session:
                async with outbox.unit_of_work(session) as work:
                    session.add(order(name * 1000 + number))
                    await pause(chance)
                    await session.flush()
                    await pause(chance)
                    work.record(Told(f"w{name}", number))
                committed.append((work.token.position, f"told-w{name}"))
            await pause(chance)

    await asyncio.gather(follow(), *(write(name) for name in range(writers)))
    assert len(await rows(url, OrderRow.__table__)) == each * writers
    assert sorted(position for position, _ in committed) == seen
    stored = {one.position: one.stream for one in await log.read(0, 10_000)}
    assert stored == dict(committed), "a token names somebody else's event"
    await engine.dispose()


@pytest.mark.parametrize("empty_url", ["sqlite"], indirect=True)
def test_a_session_that_blocks_records_on_sqlite(empty_url):
    from orm_shop import prepare
    from sqlalchemy import create_engine
    from sqlalchemy.orm import Session

    with asyncio.Runner() as runner:
        runner.run(prepare(empty_url))
        log = log_at(empty_url)
        runner.run(log.open())
        engine = create_engine(f"sqlite+apsw:///{locate(empty_url).path}")
        with Session(engine) as session:
            with Outbox(log).unit_of_work(session) as work:
                session.add(order(1))
                work.record(Told("o-1"))
            with pytest.raises(GaveUp), Outbox(log).unit_of_work(session) as work:
                session.add(order(2))
                work.record(Told("o-2"))
                raise GaveUp
        engine.dispose()
        assert runner.run(log.head()) == 1
        assert runner.run(rows(empty_url, OrderRow.__table__)) == [("o-1", "ada", 1)]
        runner.run(log.close())


@pytest.mark.parametrize("step", ["inserted", "appended", "committed"])
async def test_a_killed_process_leaves_both_or_none(url, start, step):
    process = start("stop_between", url, step)
    assert await asyncio.to_thread(process.stdout.readline) == f"{step}\n"
    process.kill()
    process.wait()
    there = step == "committed"
    harmless = Append((StreamAppend("x", ANY_VERSION, (EventToStore("X", 1, b"{}", b"{}"),)),))
    log = log_at(url)
    await log.open()
    async with asyncio.timeout(20):  # PostgreSQL has to notice that its client is gone
        await log.append(harmless)
    assert await log.head() == (2 if there else 1)
    assert len(await rows(url, OrderRow.__table__)) == (1 if there else 0)
    await log.close()
