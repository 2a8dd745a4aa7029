"""Column values: PostgreSQL's text as Python's values."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diptych.adapters.postgres.capture.snapshot import fields_of
from diptych.adapters.postgres.capture.values import value_of


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (16, "t", True),
        (16, "f", False),
        (17, "\\x00ff", b"\x00\xff"),
        (20, "-9223372036854775808", -(2**63)),
        (25, "", ""),
        (701, "1e+300", 1e300),
        (701, "-Infinity", float("-inf")),
        (1700, "1.50", Decimal("1.50")),
        (1082, "2026-01-02", date(2026, 1, 2)),
        (1082, "infinity", "infinity"),
        (1082, "0044-03-15 BC", "0044-03-15 BC"),
        (1083, "03:04:05.5", time(3, 4, 5, 500_000)),
        (1114, "2026-01-02 03:04:05.678", datetime(2026, 1, 2, 3, 4, 5, 678_000)),  # noqa: DTZ001
        (1184, "2026-01-02 03:04:05+00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (1184, "10000-01-01 00:00:00+00", "10000-01-01 00:00:00+00"),
        (2950, "6f9619ff-8b86-d011-b42d-00cf4fc964ff", UUID("6f9619ff8b86d011b42d00cf4fc964ff")),
        (3802, '{"a": [1, 2.5, null]}', {"a": [1, 2.5, None]}),
        (1007, "{1,NULL,3}", [1, None, 3]),
        (1007, "{}", []),
        (1007, "{{1,2},{3,4}}", [[1, 2], [3, 4]]),
        (1007, "[0:1]={5,6}", [5, 6]),
        (1009, '{"a,b","q\\"\\\\z",NULL,"NULL",""}', ["a,b", 'q"\\z', None, "NULL", ""]),
        (3807, '{"{\\"a\\": 1}"}', [{"a": 1}]),
        (16385, "ok", "ok"),
        (1186, "1 day", "1 day"),
    ],
)
def test_a_value_is_what_python_has_for_it(kind, text, value):
    assert value_of(kind, text) == value


def as_array(values) -> str:
    items = []
    for value in values:
        if isinstance(value, list):
            items.append(as_array(value))
        elif value is None:
            items.append("NULL")
        else:
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            items.append(f'"{escaped}"')
    return "{" + ",".join(items) + "}"


@given(st.lists(st.none() | st.text()))
def test_any_texts_in_an_array_come_out_as_they_went_in(values):
    assert value_of(1009, as_array(values)) == values


@given(st.lists(st.lists(st.text(), min_size=2, max_size=2), min_size=1))
def test_arrays_of_arrays_come_out_as_they_went_in(values):
    assert value_of(1009, as_array(values)) == values


def as_copied(value: str | None) -> str:
    if value is None:
        return "\\N"
    for letter, code in (("\\", "\\\\"), ("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r")):
        value = value.replace(letter, code)
    return value


@given(st.lists(st.none() | st.text(alphabet=st.characters(exclude_categories=["Cs"])), min_size=1))
def test_the_fields_of_a_copied_row_come_out_as_they_went_in(values):
    line = "\t".join(as_copied(value) for value in values)
    assert fields_of(line.encode()) == values
