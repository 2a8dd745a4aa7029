"""What a message is called, what it is tagged with, and that it cannot change."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from pydantic import BaseModel

from diptych import Command, Event, Query, message
from diptych.messages.kinds import identity_of, tags_of


class Paid(Event, name="payment.paid", version=3, tags=("order_id", "codes")):
    order_id: str
    codes: list[str] = []
    note: str | None = None


def test_a_message_declares_its_stable_name_version_and_tags():
    identity = identity_of(Paid)
    assert (identity.name, identity.version, identity.tags) == (
        "payment.paid",
        3,
        ("order_id", "codes"),
    )


def test_a_message_that_declares_nothing_is_known_by_its_class_name_at_version_one():
    class Plain(Command):
        pass

    assert (identity_of(Plain).name, identity_of(Plain).version) == ("Plain", 1)


def test_a_derived_message_does_not_inherit_an_identity():
    class PaidLate(Paid):
        days: int = 0

    assert identity_of(PaidLate).name == "PaidLate"
    assert identity_of(PaidLate).version == 1


def test_a_dataclass_and_a_pydantic_model_get_an_identity_by_mark_or_by_name():
    @message(name="item-added", version=2, tags=("sku",))
    @dataclass(frozen=True)
    class ItemAdded:
        sku: str

    @message(name="user-joined")
    class Joined(BaseModel):
        name: str

    @dataclass(frozen=True)
    class Unmarked:
        pass

    assert identity_of(ItemAdded).name == "item-added"
    assert identity_of(ItemAdded).tags == ("sku",)
    assert identity_of(Joined).name == "user-joined"
    assert identity_of(Unmarked).name == "Unmarked"


def test_a_mark_is_not_inherited():
    @message(name="first")
    @dataclass(frozen=True)
    class First:
        pass

    @dataclass(frozen=True)
    class Second(First):
        pass

    assert identity_of(Second).name == "Second"


def test_each_tagged_field_gives_a_tag_and_a_list_gives_one_per_member():
    assert tags_of(Paid("o1", ["x", "y"]), ("order_id", "codes")) == (
        "order_id:o1",
        "codes:x",
        "codes:y",
    )


def test_a_tagged_field_that_is_none_gives_no_tag():
    assert tags_of(Paid("o1"), ("note",)) == ()


@pytest.mark.parametrize("kind", [Command, Event, Query])
def test_messages_cannot_be_changed(kind):
    cls = type("Fixed", (kind,), {"__annotations__": {"a": int}})
    with pytest.raises(AttributeError):
        cls(1).a = 2


def test_equal_messages_are_equal_and_hash_alike():
    assert Paid("a", note="x") == Paid("a", note="x")
    assert Paid("a") != Paid("b")
