"""Whatever a read model may hold comes back from PostgreSQL equal, or is refused by name (G4)."""

from __future__ import annotations

import asyncio
import enum
import math
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from msgspec import UNSET, Meta, UnsetType

from diptych.adapters.postgres.read_store import PostgresReadStore
from diptych.errors import StoreError
from diptych.queries.read_model import ReadModel, shape_of
from diptych.queries.read_store import Change, Row, TableSpec

pytestmark = pytest.mark.anyio
alike = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Part(msgspec.Struct):
    name: str
    amount: Decimal = Decimal(0)


class Everything(ReadModel, key="name"):
    name: str
    text: str = ""
    maybe_text: str | None = None
    number: int = 0
    maybe_number: Annotated[int, Meta(ge=-(2**63))] | None = None
    measure: float = 0.0
    truth: bool = False
    price: Decimal = Decimal(0)
    moment: datetime | None = None
    zoned: Annotated[datetime, Meta(tz=True)] | None = None
    local: Annotated[datetime, Meta(tz=False)] | None = None
    day: date = date(2000, 1, 1)
    hour: time = time(0)
    zoned_hour: Annotated[time, Meta(tz=True)] | None = None
    took: timedelta = timedelta(0)
    id: UUID = UUID(int=0)
    raw: bytes = b""
    buffer: bytearray = msgspec.field(default_factory=bytearray)
    colour: Colour | None = None
    level: Level = Level.LOW
    choice: Literal["a", "b"] | None = None
    grade: Literal[1, 2] = 1
    mixed: Literal[1, "one"] = 1
    either: int | str = 0
    numbers: list[int] = []
    texts: set[str] = set()
    by_number: dict[int, str] = {}
    parts: list[Part] = []
    part: Part | None = None
    pair: tuple[int, float] = (0, 0.0)
    anything: Any = None
    perhaps: int | UnsetType | None = UNSET
    # Names that PostgreSQL, or we, use already.
    xmin: int = 0
    select: str = ""
    _position: int = 0


SPEC = TableSpec("everything", "1", shape_of(Everything))

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
json_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
numbers = st.integers(-(2**63), 2**63 - 1)
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
far = {"min_value": datetime(1, 1, 2), "max_value": datetime(9999, 12, 30)}  # noqa: DTZ001
zoned = st.datetimes(**far, timezones=offsets) | st.datetimes(timezones=st.just(UTC))
json_numbers = numbers | st.floats(allow_nan=False, allow_infinity=False)
anything = st.recursive(
    st.none() | st.booleans() | json_numbers | json_texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(json_texts, inner, max_size=3),
    max_leaves=6,
)
decimals = st.decimals(allow_nan=False) | st.decimals(
    min_value=-(10**30), max_value=10**30, places=8
)
parts = st.builds(Part, json_texts, st.decimals(allow_nan=False, allow_infinity=False))


def keepable(value):
    return not value.is_finite() or (
        value.as_tuple().exponent >= -16383 and value.adjusted() < 131_072
    )


everything = st.builds(
    Everything,
    name=texts,
    text=texts,
    maybe_text=st.none() | texts,
    number=numbers,
    maybe_number=st.none() | numbers,
    measure=st.floats(),
    truth=st.booleans(),
    price=decimals.filter(keepable),
    moment=st.none() | zoned | st.datetimes(),
    zoned=st.none() | zoned,
    local=st.none() | st.datetimes(),
    day=st.dates(),
    hour=st.times(),
    zoned_hour=st.none() | st.times(timezones=offsets),
    took=st.timedeltas(),
    id=st.uuids(),
    raw=st.binary(max_size=20),
    buffer=st.binary(max_size=20).map(bytearray),
    colour=st.none() | st.sampled_from(Colour),
    level=st.sampled_from(Level),
    choice=st.sampled_from(["a", "b", None]),
    grade=st.sampled_from([1, 2]),
    mixed=st.sampled_from([1, "one"]),
    either=numbers | json_texts,
    numbers=st.lists(st.integers(), max_size=4),
    texts=st.sets(json_texts, max_size=4),
    by_number=st.dictionaries(numbers, json_texts, max_size=4),
    parts=st.lists(parts, max_size=3),
    part=st.none() | parts,
    pair=st.tuples(numbers, st.floats(allow_nan=False, allow_infinity=False)),
    anything=anything,
    perhaps=st.just(UNSET) | st.none() | numbers,
    xmin=numbers,
    select=texts,
    _position=numbers,
)


@asynccontextmanager
async def opened(url, spec=SPEC):
    store = PostgresReadStore(url)
    await store.open([spec])
    try:
        yield store
    finally:
        await store.close()


def as_told(model):
    """A row with what == does not see: the types of values, signs of zero, the order of keys."""
    return [told(getattr(model, field)) for field in model.__struct_fields__]


def told(value):
    if isinstance(value, datetime):
        return value.tzinfo is None, value
    if isinstance(value, Decimal | time | timedelta | set | UUID):
        return type(value), value
    if isinstance(value, dict):
        return [(told(key), told(inner)) for key, inner in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [told(inner) for inner in value]
    if isinstance(value, msgspec.Struct):
        return type(value), as_told(value)
    return type(value), repr(value)


@alike
@given(st.lists(everything, max_size=6, unique_by=lambda model: model.name))
def test_rows_of_every_kind_come_back_as_they_were_written(postgres_url, models):
    async def write_and_read():
        async with opened(postgres_url) as store:
            await store.reset(SPEC)
            await store.apply([Change("everything", 0, 1, [Row(m.name, 1, m) for m in models])])
            return (await store.load("everything", [model.name for model in models])).rows

    rows = asyncio.run(write_and_read())
    assert set(rows) == {model.name for model in models}
    for model in models:
        note(f"{model}")
        assert as_told(rows[model.name].value) == as_told(model)


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("number", 2**63, "Decimal"),
        ("number", -(2**63) - 1, "Decimal"),
        ("number", 1.5, "no int"),
        ("number", 1.0, "no int"),
        ("number", None, "None"),
        ("maybe_number", 2**70, "Decimal"),
        ("measure", 2**53 + 1, "no float"),
        ("measure", Decimal("0.1"), "no float"),
        ("text", "a\0b", "NUL"),
        ("text", "\ud800", "surrogate"),
        ("text", 5, "no str"),
        ("name", "a\0b", "NUL"),
        ("maybe_text", "\0", "NUL"),
        ("price", Decimal("1E+200000"), "digits"),
        ("price", Decimal("1E-20000"), "digits"),
        ("price", Decimal("sNaN"), "NaN"),
        ("price", "1.5", "no Decimal"),
        ("truth", 1, "no bool"),
        ("moment", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=2))), "year"),
        ("zoned", datetime(2020, 1, 1), "time zone"),  # noqa: DTZ001
        ("local", datetime(2020, 1, 1, tzinfo=UTC), "time zone"),
        ("day", datetime(2020, 1, 1, tzinfo=UTC), "no date"),
        ("hour", time(1, tzinfo=UTC), "tz=True"),
        ("zoned_hour", time(1), "offset"),
        ("took", 5, "no timedelta"),
        ("id", "x", "no UUID"),
        ("raw", "x", "no bytes"),
        ("colour", 7, "no str"),
        ("anything", object(), "encoded"),
        ("anything", "\ud800", "encoded"),
    ],
)
async def test_what_cannot_be_kept_is_refused_with_field_and_row(postgres_url, field, value, why):
    async with opened(postgres_url) as store:
        good, bad = Everything("good"), Everything("bad")
        setattr(bad, field, value)
        rows = [Row("good", 1, good), Row(bad.name, 1, bad)]
        with pytest.raises(StoreError, match=why) as error:
            await store.apply([Change("everything", 0, 1, rows)])
        assert repr(field) in str(error.value)
        assert repr(bad.name) in str(error.value)
        assert "'good'" not in str(error.value)
        with pytest.raises(StoreError, match=why):  # with deletions: in a longer transaction
            await store.apply([Change("everything", 0, 1, rows, ["x"])])
        assert (await store.checkpoint("everything")).position == 0
        assert await store.count("everything") == 0
        await store.apply([Change("everything", 0, 1, rows[:1])])
        assert await store.count("everything") == 1


async def test_what_is_near_enough_is_kept_equal(postgres_url):
    class Name(enum.StrEnum):
        A = "a"

    near = Everything(
        "near", text=Name.A, number=True, measure=3, price=0.1, raw=memoryview(b"x"), level=2
    )
    near.perhaps = UNSET
    async with opened(postgres_url) as store:
        await store.apply([Change("everything", 0, 1, [Row("near", 1, near)])])
        back = (await store.load("everything", ["near"])).rows["near"].value
    assert back == near
    assert type(back.number) is int
    assert type(back.level) is Level


async def test_people_see_typed_columns(postgres_url):
    row = Everything("a", price=Decimal("1.10"), anything={"b": 1, "a": None}, xmin=7)
    row.moment = datetime(2020, 1, 1)  # noqa: DTZ001
    row.measure = math.nan
    async with opened(postgres_url) as store:
        await store.apply([Change("everything", 0, 1, [Row("a", 1, row)])])
        (seen,) = await store.select(
            "SELECT price * 2 AS double, moment, _naive, anything ->> 'b' AS b, xmin_ AS x, "
            "measure = 'NaN' AS is_nan, _position AS at FROM everything WHERE name = ?",
            ("a",),
        )
        kinds = await store.select(
            "SELECT column_name AS name, data_type AS type, is_nullable AS nullable, "
            "collation_name AS collation FROM information_schema.columns "
            "WHERE table_name = 'everything' AND table_schema = current_schema()"
        )
    assert seen == {
        "double": Decimal("2.20"),
        "moment": datetime(2020, 1, 1, tzinfo=UTC),
        "_naive": "moment",
        "b": "1",
        "x": 7,
        "is_nan": True,
        "at": 1,
    }
    by_name = {kind["name"]: (kind["type"], kind["nullable"]) for kind in kinds}
    assert by_name["number"] == ("bigint", "NO")
    assert by_name["maybe_text"] == ("text", "YES")
    assert by_name["zoned"] == ("timestamp with time zone", "YES")
    assert by_name["local"] == ("timestamp without time zone", "YES")
    assert by_name["parts"] == ("json", "NO")
    assert {kind["collation"] for kind in kinds if kind["name"] in {"name", "text"}} == {"C"}
