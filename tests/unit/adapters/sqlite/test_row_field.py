from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import apsw
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diptych.adapters.sqlite.row_field import fields_of
from diptych.errors import ConfigurationError
from diptych.queries.read_model import ReadModel, shape_of


class Visit(ReadModel, key="visit_id", rename="camel"):
    visit_id: str
    seen_at: datetime | None = None
    local_time: datetime | None = None
    price: Decimal = Decimal(0)
    took: timedelta = timedelta(0)
    lines: list[str] = []


CONNECTION = apsw.Connection(":memory:")
FIELDS = fields_of(shape_of(Visit))
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(
    datetime(1, 1, 3),  # noqa: DTZ001
    datetime(9999, 12, 29),  # noqa: DTZ001
    timezones=st.just(UTC) | offsets,
)


def in_sql(field, visit):
    """A field of a row as SQL sees it, and as a value to compare with is bound."""
    row = msgspec.json.encode(visit).decode()
    query = f"SELECT {FIELDS[field].expression} FROM (SELECT ? AS row, ? AS key)"
    return CONNECTION.execute(query, (row, visit.visit_id)).fetchall()[0][0]


@given(moments, moments)
def test_moments_compare_in_time_whatever_their_offset(one, other):
    first, second = (in_sql("seen_at", Visit("v", seen_at=moment)) for moment in (one, other))
    assert (first < second, first == second) == (one < other, one == other)
    assert FIELDS["seen_at"].bind(one) == first


@given(st.datetimes(), st.datetimes())
def test_moments_without_a_zone_compare_too(one, other):
    first, second = (in_sql("local_time", Visit("v", local_time=it)) for it in (one, other))
    assert (first < second, first == second) == (one < other, one == other)


def test_decimals_compare_as_numbers():
    values = [Decimal(text) for text in ("9.50", "10.00", "-1", "1E+3", "0.10", "0.1")]
    for one, other in itertools.product(values, values):
        first, second = (in_sql("price", Visit("v", price=value)) for value in (one, other))
        assert (first < second, first == second) == (one < other, one == other)


def test_what_does_not_compare_in_json_says_so():
    assert not FIELDS["took"].ordered
    assert FIELDS["took"].comparable
    assert not FIELDS["lines"].comparable


def test_a_renamed_field_is_found_under_its_own_name():
    assert in_sql("local_time", Visit("v")) is None
    assert in_sql("price", Visit("v", price=Decimal(7))) == 7


@pytest.mark.parametrize("option", ["omit_defaults", "array_like"])
def test_a_read_model_that_hides_its_fields_is_refused(option):
    class Hidden(ReadModel, key="hidden_id", **{option: True}):
        hidden_id: str
        stock: int = 0

    with pytest.raises(ConfigurationError, match=option):
        fields_of(shape_of(Hidden))
