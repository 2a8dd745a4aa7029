"""Mappings: what they take, what they answer, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from diptych import Event
from diptych.errors import ConfigurationError, InvalidMessage
from diptych.events.capture import (
    RowChange,
    RowValues,
    TransactionChanges,
    captures,
    events_of,
)


class OrderSeen(Event, stream="order-{order_id}"):
    order_id: str | None


@dataclass(frozen=True)
class Elsewhere:
    order_id: str


def change(operation="insert", **values) -> RowChange:
    row = RowValues(values)
    return RowChange("orders", operation, None, row, {}, 7, "0/1", datetime(2026, 1, 1, tzinfo=UTC))


@captures("orders", "archive.orders")
def seen(change: RowChange) -> OrderSeen | None:
    return None if change.operation == "delete" else OrderSeen(change.row["id"])


def test_a_mapping_knows_its_tables_and_what_it_takes():
    assert seen.tables == ("orders", "archive.orders")
    assert not seen.whole
    assert not seen.old_rows


def test_a_mapping_of_transactions_is_known_by_its_annotation():
    @captures("orders")
    def together(changes: TransactionChanges) -> list[Event]:
        return []

    assert together.whole


def test_an_event_goes_to_the_stream_that_its_class_names():
    assert events_of(seen, change(id="a")) == [("order-a", OrderSeen("a"))]


def test_nothing_of_interest_is_no_event():
    assert events_of(seen, change("delete", id="a")) == []


def test_several_events_stay_in_order():
    @captures("orders")
    def twice(change: RowChange) -> list[Event]:
        return [OrderSeen("a"), ("other", OrderSeen("b"))]

    assert [stream for stream, _ in events_of(twice, change())] == ["order-a", "other"]


def test_an_event_without_a_stream_is_refused_with_what_to_write():
    @captures("orders")
    def lost(change: RowChange) -> Elsewhere:
        return Elsewhere("a")

    with pytest.raises(ConfigurationError, match=r'stream="order-\{order_id\}"'):
        events_of(lost, change())


def test_an_empty_field_names_no_stream():
    with pytest.raises(InvalidMessage, match="empty"):
        events_of(seen, change(id=None))


def no_annotation(change):
    return None


def wrong_annotation(change: OrderSeen) -> None: ...


def two_arguments(change: RowChange, more: RowChange) -> None: ...


async def waits(change: RowChange) -> None: ...


@pytest.mark.parametrize("function", [no_annotation, wrong_annotation, two_arguments, waits])
def test_what_is_no_mapping_is_refused(function):
    with pytest.raises(ConfigurationError, match=function.__name__):
        captures("orders")(function)


def test_a_mapping_must_name_a_table():
    with pytest.raises(ConfigurationError, match="name its tables"):
        captures()(seen.function)


def test_a_large_value_that_was_not_sent_is_not_guessed():
    row = RowValues({"id": 1}, frozenset({"text"}))
    with pytest.raises(KeyError, match="was not sent"):
        row["text"]
    with pytest.raises(KeyError, match="was not sent"):
        row.get("text", "")
    assert row.get("other", 5) == 5
    assert row.get("id") == 1
    with pytest.raises(KeyError, match="the row has id"):
        row["idd"]
