"""An event class may say which stream its events belong to."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from diptych import Event, message
from diptych.errors import ConfigurationError, InvalidMessage, UnknownMessageType
from diptych.events.recording import events_by_stream
from diptych.messages.kinds import identity_of
from diptych.messages.registry import Registry


class Placed(Event, stream="order-{order_id}"):
    order_id: str | None


class Shipped(Event, stream="{country}/{parcel}-x"):
    country: str
    parcel: int


class Homeless(Event):
    order_id: str


@message(stream="order-{order_id}", name="paid")
@dataclass(frozen=True)
class Paid:
    order_id: str


def registry_of(*classes: type) -> Registry:
    registry = Registry()
    for cls in classes:
        registry.add(cls)
    return registry


def test_a_stream_is_named_by_fields():
    registry = registry_of(Placed, Shipped, Paid)
    events = [Placed("a"), Shipped("UK", 7), Paid("a"), Placed("b")]
    assert events_by_stream(registry, events) == {
        "order-a": [Placed("a"), Paid("a")],
        "UK/7-x": [Shipped("UK", 7)],
        "order-b": [Placed("b")],
    }
    assert identity_of(Paid).name == "paid"


@pytest.mark.parametrize("order_id", ["", None, "\ud800"])
def test_a_field_that_names_a_stream_must_not_be_empty(order_id):
    with pytest.raises(InvalidMessage):
        events_by_stream(registry_of(Placed), [Placed(order_id)])


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("order-{oder_id}", "no field 'oder_id', only order_id"),
        ("order-{}", "no field ''"),
        ("order-{order_id", "cannot be read"),
        ("order-{order_id:>9}", "no formats"),
        ("order-{order_id!r}", "no formats"),
        ("", "takes text"),
    ],
)
def test_a_template_is_checked_when_the_class_is_made(template, why):
    with pytest.raises(ConfigurationError, match=why):

        class Wrong(Event, stream=template):
            order_id: str

    with pytest.raises(ConfigurationError, match=why):

        @message(stream=template)
        @dataclass(frozen=True)
        class AlsoWrong:
            order_id: str


def test_an_event_that_names_no_stream_is_refused_where_it_has_to():
    with pytest.raises(ConfigurationError, match=r"class Homeless\(Event, stream="):
        events_by_stream(registry_of(Homeless), [Homeless("a")])


def test_a_class_is_no_event():
    with pytest.raises(UnknownMessageType, match=r"record Placed\(...\)"):
        events_by_stream(registry_of(Placed), [Placed])


def test_a_subclass_names_its_own_stream():
    class Replaced(Placed):
        pass

    assert identity_of(Replaced).stream == ""
