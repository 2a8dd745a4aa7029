"""Messages to JSON and back, checked both ways: structs, dataclasses and pydantic models."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from diptych import Event
from diptych.errors import ConfigurationError, InvalidMessage
from diptych.messages.codec import MAX_MESSAGE_BYTES, Codec


class StructNoted(Event):
    text: str
    count: int = 0
    weight: float | None = None
    words: list[str] = []


@dataclass(frozen=True)
class DataNoted:
    text: str
    count: int = 0
    weight: float | None = None
    words: list[str] = field(default_factory=list)


class ModelNoted(BaseModel):
    model_config = ConfigDict(frozen=True)
    text: str
    count: int = 0
    weight: float | None = None
    words: list[str] = []


KINDS = [StructNoted, DataNoted, ModelNoted]
every_kind = pytest.mark.parametrize("cls", KINDS, ids=["struct", "dataclass", "pydantic"])


def codec_of(cls: type, **options: Any) -> Codec:
    return Codec(cls, "Noted", **options)


@every_kind
def test_a_message_comes_back_equal(cls):
    codec = codec_of(cls)
    noted = cls(text='käse ☕ \n"', count=-5, weight=0.1, words=["a", ""])
    assert codec.decode(codec.encode(noted)) == noted


@every_kind
@given(st.text(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text())
def test_whatever_can_be_encoded_comes_back_equal(cls, text, count, weight, word):
    codec = codec_of(cls)
    noted = cls(text=text, count=count, weight=weight, words=[word])
    try:
        data = codec.encode(noted)
    except InvalidMessage:
        assert math.isinf(weight)
    else:
        assert codec.decode(data) == noted


@every_kind
def test_a_missing_field_is_named(cls):
    with pytest.raises(InvalidMessage, match="text"):
        codec_of(cls).decode(b'{"count":1}')


@every_kind
def test_an_extra_field_is_refused_and_named(cls):
    with pytest.raises(InvalidMessage, match="surprise"):
        codec_of(cls).decode(b'{"text":"a","surprise":1}')


@every_kind
def test_a_wrong_type_is_refused_and_its_field_named(cls):
    with pytest.raises(InvalidMessage, match="count"):
        codec_of(cls).decode(b'{"text":"a","count":"many"}')


@every_kind
@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"3", b"{", b'{"text":"a"}x', b"\xff"])
def test_what_is_no_object_is_refused(cls, data):
    with pytest.raises(InvalidMessage):
        codec_of(cls).decode(data)


@every_kind
@pytest.mark.parametrize("weight", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_are_refused_before_they_are_stored(cls, weight):
    with pytest.raises(InvalidMessage, match="NaN and infinity cannot be stored"):
        codec_of(cls).encode(cls(text="a", weight=weight))


def test_nan_hidden_in_a_dict_or_in_any_is_refused():
    class Loose(Event):
        numbers: dict[str, float] = {}
        anything: Any = None

    codec = codec_of(Loose)
    for noted in (Loose({"a": math.nan}), Loose(anything=[math.nan]), Loose(anything=math.inf)):
        with pytest.raises(InvalidMessage):
            codec.encode(noted)


@every_kind
def test_ten_megabytes_are_refused_with_both_sizes(cls):
    big = cls(text="x" * 10_000_000)
    with pytest.raises(InvalidMessage, match=r"10,000,0\d\d bytes, the limit is 1,048,576"):
        codec_of(cls).encode(big)
    assert len(codec_of(cls, max_bytes=20_000_000).encode(big)) > 10_000_000


@every_kind
def test_ten_megabytes_from_outside_are_refused_unread(cls):
    with pytest.raises(InvalidMessage, match="too large"):
        codec_of(cls).decode_from_outside(b"not even json" * 1_000_000)
    assert codec_of(cls).decode_from_outside(b'{"text":"a"}') == cls(text="a")
    assert MAX_MESSAGE_BYTES == 1_048_576


@every_kind
def test_ten_thousand_nested_arrays_from_outside_are_refused(cls):
    deep = b'{"text":"a","words":' + b"[" * 10_000 + b"]" * 10_000 + b"}"
    with pytest.raises(InvalidMessage):
        codec_of(cls).decode_from_outside(deep)


def test_ten_thousand_nested_arrays_are_refused_both_ways_where_anything_goes():
    class Loose(Event):
        anything: Any

    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(InvalidMessage, match="nested too deeply"):
        codec_of(Loose).encode(Loose(deep))
    with pytest.raises(InvalidMessage, match="nested too deeply"):
        codec_of(Loose).decode(b'{"anything":' + b"[" * 10_000 + b"]" * 10_000 + b"}")


@every_kind
def test_a_lone_surrogate_is_refused_both_ways(cls):
    codec = codec_of(cls)
    with pytest.raises(InvalidMessage):
        codec.encode(cls.model_construct(text="\ud800") if cls is ModelNoted else cls("\ud800"))
    with pytest.raises(InvalidMessage):
        codec.decode(b'{"text":"\\ud800"}')


@every_kind
@pytest.mark.parametrize("count", [2**63, 2**64, -(2**70), 10**400])
def test_a_big_integer_comes_back_equal_or_is_refused(cls, count):
    codec = codec_of(cls)
    try:
        data = codec.encode(cls(text="a", count=count))
    except InvalidMessage:
        return
    assert codec.decode(data).count == count


@pytest.mark.parametrize("cls", [StructNoted, DataNoted])
def test_a_message_that_does_not_fit_its_own_type_is_refused_before_it_is_stored(cls):
    with pytest.raises(InvalidMessage, match="count"):
        codec_of(cls).encode(cls("a", "many"))


def test_a_pydantic_model_that_does_not_fit_its_own_type_is_refused_without_a_warning():
    with pytest.raises(InvalidMessage, match="count"):
        codec_of(ModelNoted).encode(ModelNoted.model_construct(text="a", count="many"))


class Shade(Enum):
    DARK = "dark"


class Rich(Event):
    at: datetime
    day: date
    price: Decimal
    id: UUID
    shade: Shade
    pair: tuple[int, str]
    tags: set[str]
    gap: timedelta
    data: bytes


def test_the_usual_value_types_come_back_equal():
    codec = codec_of(Rich)
    rich = Rich(
        datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        date(2026, 1, 2),
        Decimal("1.10"),
        UUID(int=5),
        Shade.DARK,
        (1, "a"),
        {"x", "y"},
        timedelta(days=2, microseconds=1),
        b"\0\xff",
    )
    assert codec.decode(codec.encode(rich)) == rich


def test_a_value_that_json_would_change_is_refused():
    class Loose(Event):
        anything: Any

    with pytest.raises(InvalidMessage, match="does not survive being stored"):
        codec_of(Loose).encode(Loose((1, 2)))
    assert codec_of(Loose).decode(codec_of(Loose).encode(Loose([1, 2]))) == Loose([1, 2])


def test_a_class_that_json_cannot_carry_is_refused_when_the_codec_is_made():
    class Ambiguous(Event):
        one: list[int] | set[int]

    with pytest.raises(ConfigurationError, match="cannot be a message"):
        codec_of(Ambiguous)


@dataclass(frozen=True)
class Inner:
    a: int


@dataclass(frozen=True)
class Outer:
    inner: Inner


class InnerModel(BaseModel):
    a: int


class OuterModel(BaseModel):
    inner: InnerModel


@pytest.mark.parametrize("cls", [Outer, OuterModel])
def test_an_extra_field_of_an_inner_object_is_refused(cls):
    with pytest.raises(InvalidMessage, match="surprise"):
        codec_of(cls).decode(b'{"inner":{"a":1,"surprise":2}}')


def test_a_decimal_that_is_no_number_is_refused():
    class Priced(Event):
        price: Decimal

    with pytest.raises(InvalidMessage):
        codec_of(Priced).encode(Priced(Decimal("NaN")))
