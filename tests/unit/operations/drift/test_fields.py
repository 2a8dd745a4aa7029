"""What is different between two rows."""

from __future__ import annotations

import pytest
from banking import Balance

from diptych.operations.drift.fields import FieldDifference, field_differences


@pytest.mark.parametrize(
    ("kept", "expected", "found"),
    [
        (Balance("a", 1), Balance("a", 1), []),
        (Balance("a", 1), Balance("a", 2), [FieldDifference("balance", 1, 2)]),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, [FieldDifference("a.b[1]", 2, 3)]),
        ([1], [1, 2], [FieldDifference("[1]", None, 2, missing=True)]),
        ([1, 2], [1], [FieldDifference("[1]", 2, None, extra=True)]),
        ({"x": 1}, {}, [FieldDifference("x", 1, None, extra=True)]),
        ({}, {"x": None}, [FieldDifference("x", None, None, missing=True)]),
        ({"x": 1}, {"x": True}, [FieldDifference("x", 1, True)]),
        (None, {"x": 1}, [FieldDifference("", None, {"x": 1})]),
        (
            "no row",
            Balance("a"),
            [FieldDifference("", "no row", {"account_id": "a", "balance": 0})],
        ),
    ],
)
def test_each_place_that_differs_is_named_once(kept, expected, found):
    assert field_differences(kept, expected) == found
