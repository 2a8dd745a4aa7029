"""SQLAlchemy on apsw: an ordinary SQLite dialect that waits without standing still."""

# ruff: noqa: DTZ001, PT012  columns without a time zone; blocks that must fail as a whole

from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import enum
import uuid
from pathlib import Path
from typing import Any

import apsw
import pytest
from orm_shop import SHOP, TABLES, Add, Cart, Deliver, OrderRow, StockRow, log_at, prepare, rows
from sqlalchemy import (
    JSON,
    ForeignKey,
    create_engine,
    delete,
    func,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.exc import ArgumentError, IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from diptych import App, Event
from diptych.adapters.sqlalchemy import Outbox, engine_for
from diptych.errors import StoreUnavailable


class Base(DeclarativeBase):
    pass


class Colour(enum.Enum):
    RED = "red"


class Thing(Base):
    __tablename__ = "things"

    thing_id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(unique=True)
    at: Mapped[dt.datetime] = mapped_column(default=dt.datetime(2026, 1, 2, 3, 4, 5, 678901))
    day: Mapped[dt.date] = mapped_column(default=dt.date(2026, 1, 2))
    price: Mapped[decimal.Decimal] = mapped_column(default=decimal.Decimal("1.5"))
    good: Mapped[bool] = mapped_column(default=True)
    key: Mapped[uuid.UUID] = mapped_column(default=uuid.UUID(int=7))
    colour: Mapped[Colour] = mapped_column(default=Colour.RED)
    facts: Mapped[dict[str, Any]] = mapped_column(JSON, default={"a": [1]})
    blob: Mapped[bytes] = mapped_column(default=b"\0\1")


class Part(Base):
    __tablename__ = "parts"

    part_id: Mapped[int] = mapped_column(primary_key=True)
    thing_id: Mapped[int] = mapped_column(ForeignKey("things.thing_id"))


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "things.db")


@pytest.fixture
async def engine(path: str):
    engine = create_async_engine(f"sqlite+apsw:///{path}")
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield engine
    await engine.dispose()


async def test_values_come_back_as_they_went(engine):
    async with AsyncSession(engine) as session:
        session.add(Thing(name="a"))
        await session.commit()
        session.expire_all()
        thing = (await session.scalars(select(Thing))).one()
        await session.refresh(thing)
        assert (thing.at, thing.day) == (
            dt.datetime(2026, 1, 2, 3, 4, 5, 678901),
            dt.date(2026, 1, 2),
        )
        assert (thing.good, thing.colour, thing.facts) == (True, Colour.RED, {"a": [1]})
        assert (thing.price, thing.key, thing.blob) == (
            decimal.Decimal("1.5"),
            uuid.UUID(int=7),
            b"\0\1",
        )


async def test_rows_are_counted_and_returned(engine):
    async with engine.begin() as connection:
        made = await connection.execute(
            insert(Thing).returning(Thing.thing_id), [{"name": name} for name in "abc"]
        )
        assert sorted(made.scalars()) == [1, 2, 3]
        changed = await connection.execute(update(Thing).values(good=False).where(Thing.name < "c"))
        assert changed.rowcount == 2
        none = await connection.execute(update(Thing).values(good=True).where(Thing.name == "z"))
        assert none.rowcount == 0
        many = await connection.execute(
            text("UPDATE things SET blob = :b WHERE name = :n"),
            [{"b": b"x", "n": name} for name in "abz"],
        )
        assert many.rowcount == 2
        gone = await connection.execute(delete(Thing).where(Thing.good))
        assert gone.rowcount == 1
        empty = await connection.execute(select(Thing.name).where(Thing.name == "z"))
        assert list(empty.keys()) == ["name"]
        assert empty.all() == []


async def test_rows_can_be_streamed(engine):
    async with AsyncSession(engine) as session:
        session.add_all([Thing(name=f"t{number}") for number in range(20)])
        await session.commit()
        found = await session.stream(select(Thing.name).order_by(Thing.thing_id))
        assert [row.name async for row in found] == [f"t{number}" for number in range(20)]


async def test_a_savepoint_is_taken_back_alone(engine):
    async with AsyncSession(engine) as session, session.begin():
        session.add(Thing(name="kept"))
        try:
            async with session.begin_nested():
                session.add(Thing(name="lost"))
                await session.flush()
                raise KeyError  # noqa: TRY301
        except KeyError:
            pass
    async with AsyncSession(engine) as session:
        assert (await session.scalars(select(Thing.name))).all() == ["kept"]


async def test_broken_constraints_and_wrong_sql_have_their_ordinary_errors(engine):
    async with AsyncSession(engine) as session:
        session.add_all([Thing(name="a"), Thing(name="a")])
        with pytest.raises(IntegrityError, match="UNIQUE"):
            await session.commit()
        await session.rollback()
        session.add(Part(thing_id=99))
        with pytest.raises(IntegrityError, match="FOREIGN KEY"):
            await session.commit()
        await session.rollback()
        with pytest.raises(OperationalError, match="no such table"):
            await session.execute(text("SELECT * FROM nowhere"))
        with pytest.raises(ProgrammingError):
            await session.execute(text("SELECT :x"), {"x": object()})


async def test_it_looks_into_the_database(engine):
    async with engine.connect() as connection:
        names = await connection.run_sync(lambda it: inspect(it).get_table_names())
        assert sorted(names) == ["parts", "things"]
        assert await connection.scalar(select(func.floor(1.5))) == 1
        assert await connection.scalar(text("SELECT 'abc' REGEXP 'b'")) == 1
        raw = await connection.get_raw_connection()
        assert isinstance(raw.driver_connection, apsw.Connection)


def test_an_engine_that_blocks(path):
    engine = create_engine(f"sqlite+apsw:///{path}?synchronous=normal&busy_timeout_s=0.01")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Thing(name="a"))
        session.commit()
        assert session.scalar(text("PRAGMA synchronous")) == 1
        assert session.scalar(text("PRAGMA journal_mode")) == "wal"
        session.rollback()
    other = apsw.Connection(path)
    other.execute("BEGIN IMMEDIATE")
    with Session(engine) as session, pytest.raises(OperationalError, match="locked"):
        session.add(Thing(name="b"))
        session.commit()
    other.close()
    engine.dispose()


@pytest.mark.parametrize(
    "url",
    ["sqlite+apsw://", "sqlite+apsw:///:memory:", "sqlite+apsw:///x.db?cache=shared"],
)
def test_what_cannot_be_shared_is_refused(url):
    with pytest.raises(ArgumentError):
        create_engine(url).connect()


async def test_who_only_reads_is_in_nobodys_way(engine, path):
    async with AsyncSession(engine) as session:
        session.add(Thing(name="a"))
        await session.commit()
    writing = apsw.Connection(path)
    writing.execute("BEGIN IMMEDIATE")
    reading = engine.execution_options(isolation_level="DEFERRED")
    async with AsyncSession(reading) as session:
        assert (await session.scalars(select(Thing.name))).all() == ["a"]
    writing.close()
    async with engine.connect() as connection:  # the connection is as it was
        assert await connection.get_isolation_level() == "IMMEDIATE"


async def test_waiting_for_a_lock_leaves_the_event_loop_free(engine, path):
    holding = apsw.Connection(path)
    holding.execute("BEGIN IMMEDIATE")

    async def write() -> None:
        async with AsyncSession(engine) as session:
            session.add(Thing(name="a"))
            await session.commit()

    writing = asyncio.create_task(write())
    for _ in range(200):
        await asyncio.sleep(0)
    assert not writing.done(), "it stood still until it gave up, or did not wait"
    holding.execute("COMMIT")
    await writing
    holding.close()


async def test_who_is_cancelled_while_waiting_leaves_nothing_behind(engine, path):
    holding = apsw.Connection(path)
    holding.execute("BEGIN IMMEDIATE")

    async def write(name: str) -> None:
        async with AsyncSession(engine) as session:
            session.add(Thing(name=name))
            await session.commit()

    for number in range(3):
        writing = asyncio.create_task(write(f"cancelled {number}"))
        for _ in range(50):
            await asyncio.sleep(0)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    holding.execute("COMMIT")
    holding.close()
    await write("a")
    async with AsyncSession(engine) as session:
        assert (await session.scalars(select(Thing.name))).all() == ["a"]


class Told(Event, stream="told-{by}"):
    by: int
    number: int


async def test_sessions_and_the_log_hammer_one_file(tmp_path, chance):
    url = f"sqlite:///{tmp_path}/shop.db"
    await prepare(url)
    engine = engine_for(url)
    async with App("shop", SHOP, write=url, state_stored=[Cart]) as app:
        outbox = Outbox(app.log)

        async def by_session(name: int) -> None:
            for number in range(25):
                async with AsyncSession(engine) as session, outbox.unit_of_work(session) as work:
                    order = name * 1000 + number
                    session.add(OrderRow(order_id=f"o-{order}", customer="a", number=order))
                    await session.flush()
                    work.record(Told(name, number))

        async def by_log(name: int) -> None:
            for _ in range(50):
                await app.dispatch(Add(f"c-{name}", "tea"))
                if chance.random() < 0.2:
                    await asyncio.sleep(0)

        await asyncio.gather(*(by_session(n) for n in range(8)), *(by_log(n) for n in range(8)))
        assert await app.log.head() == 8 * 25 + 8 * 50
        stored = await app.log.read(0, 10_000)
        assert [one.position for one in stored] == list(range(1, len(stored) + 1))
        for name in range(8):
            assert (await app.load(Cart, f"c-{name}")).items == {"tea": 50}
    assert len(await rows(url, OrderRow.__table__)) == 8 * 25
    await check_integrity(url)
    await engine.dispose()


async def test_two_processes_with_sessions_and_logs_hammer_one_file(tmp_path, start):
    url = f"sqlite:///{tmp_path}/shop.db"
    await prepare(url)
    started = [start("insert_rows", url, name, 60) for name in ("one", "other")]
    started += [start("fill_cart", url, "c", 30)]
    async with App("shop", SHOP, write=url, tables=TABLES) as app:
        for _ in range(30):
            await app.dispatch(Add("c", "tea"))
        for process in started:
            assert await asyncio.to_thread(process.stdout.readline) == "done\n"
        assert (await app.load(Cart, "c")).items == {"tea": 60}
        assert await app.log.head() == 2 * 60 + 60
    assert len(await rows(url, OrderRow.__table__)) == 2 * 60
    await check_integrity(url)


async def check_integrity(url: str) -> None:
    engine = engine_for(url)
    async with engine.connect() as connection:
        assert await connection.scalar(text("PRAGMA integrity_check")) == "ok"
        assert (await connection.execute(text("PRAGMA foreign_key_check"))).all() == []
    await engine.dispose()


async def test_a_lock_that_is_held_for_too_long_is_reported(tmp_path):
    url = f"sqlite:///{tmp_path}/shop.db?busy_timeout_s=0.05"
    await prepare(url)
    async with App("shop", SHOP, write=url) as app:
        holding = apsw.Connection(str(tmp_path / "shop.db"))
        holding.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="nothing was written"):
            await app.dispatch(Deliver("tea", 1))
        holding.execute("ROLLBACK")
        holding.close()
        await app.dispatch(Deliver("tea", 1))
    assert await rows(url, StockRow.__table__) == [("tea", 1)]


async def test_a_log_and_a_session_in_one_file_are_one_copy_of_sqlite(tmp_path):
    url = f"sqlite:///{tmp_path}/shop.db"
    await prepare(url)
    log, engine = log_at(url), engine_for(url)
    await log.open()
    async with engine.connect() as connection:
        version = await connection.scalar(text("SELECT sqlite_version()"))
    assert version == apsw.sqlite_lib_version()
    await engine.dispose()
    await log.close()
