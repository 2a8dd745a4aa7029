"""Every shape of state that `mapped` knows comes back from both databases as it went."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import uuid

import msgspec
import pytest
from orm_shop import log_at
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Date,
    DateTime,
    Enum,
    ForeignKey,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    Uuid,
)

from diptych import Aggregate, App, Command, Event
from diptych.adapters.sqlalchemy import engine_for, mapped

MOMENT = dt.datetime(2026, 1, 1, 0, 0, 0, 5)  # noqa: DTZ001  a column without a time zone


class Status(enum.Enum):
    OPEN = "open"
    CLOSED = "closed"


class Line(msgspec.Struct):
    item: str
    quantity: int
    note: str | None = None


class Change(Command):
    thing_id: uuid.UUID
    step: int


class Changed(Event):
    thing_id: uuid.UUID
    step: int


class Thing(Aggregate, key="thing_id"):
    status: Status = Status.OPEN
    kind: Status = Status.OPEN
    price: decimal.Decimal = decimal.Decimal("0.00")
    at: dt.datetime | None = None
    day: dt.date | None = None
    good: bool = False
    facts: dict[str, list[int]] = {}
    best: Line | None = None
    words: set[str] = set()
    lines: list[Line] = []
    counts: dict[int, int] = {}
    places: dict[str, Line] = {}
    names: list[str] = []

    def change(self, command: Change) -> Changed:
        return Changed(command.thing_id, command.step)

    def changed(self, event: Changed) -> None:
        step = event.step
        self.status = self.kind = Status.CLOSED if step % 2 else Status.OPEN
        self.price = decimal.Decimal(step) + decimal.Decimal("0.25")
        self.at = MOMENT + dt.timedelta(seconds=step) if step % 3 else None
        self.day = dt.date(2026, 1, step + 1)
        self.good = bool(step % 2)
        self.facts[f"s{step}"] = [step]
        self.best = Line("tea", step, None)
        self.words ^= {f"w{step % 4}", f"w{step % 3}"}
        self.lines.insert(0, Line(f"i{step}", step, "x" if step % 2 else None))
        del self.lines[4:]
        self.counts[step % 5] = step
        self.counts.pop(step % 3, None)
        place = f"p{step % 3}"
        self.places[place] = Line(place, step)
        self.names = [f"n{number}" for number in range(step % 4)]


metadata = MetaData()
KEY = "things.thing_id"
things = Table(
    "things",
    metadata,
    Column("thing_id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False, server_default="0"),
    Column("status", String, nullable=False),
    Column("kind", Enum(Status), nullable=False),
    Column("price", Numeric(10, 2), nullable=False),
    Column("at", DateTime),
    Column("day", Date),
    Column("good", Boolean, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("best", JSON),
)


def child(name: str, *columns: Column) -> Table:
    return Table(name, metadata, Column("thing", ForeignKey(KEY), primary_key=True), *columns)


def number() -> Column:
    return Column("number", Integer, primary_key=True, autoincrement=False)


def line() -> list[Column]:
    return [Column("quantity", Integer, nullable=False), Column("note", String)]


CHILDREN = {
    "words": child("words", Column("word", String, primary_key=True)),
    "lines": child("lines", number(), Column("item", String, nullable=False), *line()),
    "counts": child("counts", number(), Column("count", Integer, nullable=False)),
    "places": child("places", Column("item", String, primary_key=True), *line()),
    "names": child("names", number(), Column("name", String, nullable=False)),
}


@pytest.mark.parametrize("keep_events", [True, False])
async def test_states_come_back_as_they_went(empty_url, keep_events):
    log, engine = log_at(empty_url), engine_for(empty_url)
    await log.open()
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await engine.dispose()
    await log.close()
    key, expected = uuid.uuid4(), Thing()
    options = {"tables": [mapped(Thing, things, **CHILDREN)], "keep_events": keep_events}
    async with App("things", [Thing], write=empty_url, **options) as app:
        assert await app.load(Thing, key) == expected
        for step in range(24):
            await app.dispatch(Change(key, step))
            expected.changed(Changed(key, step))
            assert await app.load(Thing, key) == expected
        assert await app.load(Thing, str(key)) == expected
