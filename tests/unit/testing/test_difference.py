"""Expected against actual, in words, whatever the values are made of."""

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from banking import Balance
from pydantic import BaseModel

from diptych.testing.difference import differences, picture


@dataclass
class Line:
    sku: str
    count: int = 1


class Page(BaseModel):
    lines: list[int] = []


class Plain:
    def __init__(self, **fields: Any) -> None:
        vars(self).update(fields)


@dataclass
class Cart:
    lines: list[Line] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)


class Shade(Enum):
    DARK = 1
    LIGHT = 2


@pytest.mark.parametrize(
    ("expected", "actual", "lines"),
    [
        (Balance("a", 1), Balance("a", 1), []),
        (Balance("a", 1), Balance("a", 2), ["balance: expected 1, was 2"]),
        (
            Cart([Line("x", 1)]),
            Cart([Line("x", 2)]),
            ["lines[0].count: expected 1, was 2"],
        ),
        (
            Cart([Line("x")]),
            Cart(),
            ["lines[0]: expected Line(sku='x', count=1), was missing"],
        ),
        (
            Cart(notes={"a": 1}),
            Cart(notes={"b": 1}),
            ["notes.a: expected 1, was missing", "notes.b: not expected, was 1"],
        ),
        (Page(lines=[1]), Page(lines=[2]), ["lines[0]: expected 1, was 2"]),
        (Plain(a=1), Plain(a=2), ["a: expected 1, was 2"]),
        (Line("a"), Page(), ["it: expected Line(sku='a', count=1), was Page(lines=[])"]),
        (1, True, ["it: expected 1, was True"]),
        (1, 1.0, ["it: expected 1, was 1.0"]),
        ("1", 1, ["it: expected '1', was 1"]),
        (math.nan, math.nan, []),
        ({1, 2}, {2, 1}, []),
        ({1}, {1, 2}, ["2: not expected, was True"]),
        (Shade.DARK, Shade.DARK, []),
        (Shade.DARK, Shade.LIGHT, ["it: expected <Shade.DARK: 1>, was <Shade.LIGHT: 2>"]),
        (Decimal("1.0"), Decimal(1), []),
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC), []),
        (None, None, []),
        ({"a": None}, {}, ["a: expected None, was missing"]),
        ((1, 2), [1, 2], []),
        (int, int, []),
    ],
)  # fmt: skip
def test_what_is_different_is_named_field_by_field(expected, actual, lines):
    assert differences(expected, actual) == lines


def test_many_differences_are_cut_short():
    lines = differences(list(range(100)), list(range(100, 200)))
    assert len(lines) == 21
    assert lines[-1] == "... and 80 more differences"


def test_a_picture_does_not_change_with_its_object():
    cart = Cart([Line("x")], {"a": [1]})
    before = picture(cart)
    cart.lines[0].count = 7
    cart.notes["a"].append(2)
    assert differences(before, cart) == [
        "lines[0].count: expected 1, was 7",
        "notes.a[1]: not expected, was 2",
    ]
