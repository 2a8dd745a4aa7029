"""Any find finds in PostgreSQL what it finds in memory (G5, G7)."""

from __future__ import annotations

import asyncio
import enum
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diptych.adapters.memory.read_store import MemoryReadStore
from diptych.adapters.postgres.read_store import PostgresReadStore
from diptych.queries.read_model import ReadModel, shape_of
from diptych.queries.read_store import Change, Filter, Find, Row, TableSpec


class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l"


FIELDS = ("text", "maybe", "number", "measure", "price", "moment", "size", "truth", "raw")


class Thing(ReadModel, key="key", indexes=FIELDS, search=("text", "maybe")):
    key: str
    text: str = ""
    maybe: str | None = None
    number: int | None = None
    measure: float = 0.0
    price: Decimal | None = None
    moment: datetime | None = None
    size: Size | None = None
    truth: bool = False
    raw: bytes = b""


THINGS = TableSpec("things", "1", shape_of(Thing))
LONG = "x" * 3_000
letters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
words = st.sampled_from(
    ["", "Ab", "ab_c", "äB", "ß", "İ", "a1", "x'y", "é", "e\u0301", LONG, LONG + "y", "b c", "¹"]
)
texts = words | st.text(letters, max_size=4)
moments = st.integers(0, 3).map(lambda day: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(day))
values = {
    "key": texts,
    "text": texts,
    "maybe": texts,
    "number": st.sampled_from([-1, 0, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)]),
    "measure": st.sampled_from([0.0, -0.0, 0.1, 2.0**53, 1e300]),
    "price": st.sampled_from([Decimal("0.1"), Decimal("1.10"), Decimal(10**20), Decimal("-1E+3")]),
    "moment": moments,
    "size": st.sampled_from(Size),
    "truth": st.booleans(),
    "raw": st.binary(max_size=2),
}
nullable = {"maybe", "number", "price", "moment", "size"}
# What may be asked for, though no row holds it.
beyond = {
    "key": st.text(max_size=3),
    "text": st.text(st.characters(exclude_categories=["Cs"]), max_size=3) | st.just("A\0b"),
    "number": st.sampled_from([2**63, -(2**70), 0.5, Decimal("0.1"), 2.0**63, True]),
    "measure": st.sampled_from([2**53 + 1, -(2**53) - 1, 10**400, Decimal("0.1"), 1]),
    "price": st.sampled_from([0.1, 1, 1.1, 2**70]),
    "truth": st.sampled_from([0, 1]),
}
rows = st.lists(
    st.builds(Thing, **{f: (st.none() | s) if f in nullable else s for f, s in values.items()}),
    max_size=12,
    unique_by=lambda thing: thing.key,
)


@st.composite
def filters(draw):
    field = draw(st.sampled_from(["key", *FIELDS]))
    operator = draw(st.sampled_from(["=", "<", "<=", ">", ">=", "in"]))
    value = values[field] | beyond.get(field, values[field])
    if field == "key":
        value = values[field]
    if operator in {"=", "in"}:
        value = st.none() | value
    return Filter(field, operator, draw(st.lists(value, max_size=3) if operator == "in" else value))


@st.composite
def finds(draw):
    order_by = draw(st.none() | st.sampled_from(["key", *FIELDS]))
    return Find(
        tuple(draw(st.lists(filters(), max_size=2))),
        order_by=order_by,
        descending=draw(st.booleans()),
        limit=draw(st.none() | st.integers(0, 4)),
        search=draw(st.none() | texts | st.just(LONG[:2_000])),
        after_key=draw(st.none() | values["key"]) if order_by is None else None,
    )


async def keys(store, find):
    return [row.key for row in await store.find("things", find)]


@settings(suppress_health_check=list(HealthCheck), max_examples=40)
@given(rows, st.lists(finds(), min_size=1, max_size=15))
def test_any_find_finds_what_memory_finds(postgres_url, things, wanted):
    async def compare():
        store, memory = PostgresReadStore(postgres_url), MemoryReadStore()
        try:
            for one in (store, memory):
                await one.open([THINGS])
                await one.reset(THINGS)
                await one.apply([Change("things", 0, 1, [Row(t.key, 1, t) for t in things])])
            for find in wanted:
                assert await keys(store, find) == await keys(memory, find), find
                count = await memory.count("things", find.filters)
                assert await store.count("things", find.filters) == count, find
        finally:
            await store.close()
            await memory.close()

    asyncio.run(compare())
