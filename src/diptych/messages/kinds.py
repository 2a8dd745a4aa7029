"""The three kinds of message: command (intent), event (fact), query (question).

`Command`, `Event` and `Query` are msgspec structs because they are the fastest typed data there is
in Python. None of them is required: a frozen dataclass or a pydantic model is a message too, once
`@message` (or a handler's annotation) says what it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, dataclass_transform

import msgspec

from diptych.errors import ConfigurationError
from diptych.messages.stream_names import check_template

__all__ = ["Command", "Event", "Identity", "Query", "identity_of", "message", "tags_of"]

A = TypeVar("A")
M = TypeVar("M", bound=type)


class Identity(msgspec.Struct, frozen=True):
    """The stable identity of a message type: what is written down instead of a Python path.

    `name` survives renames and moves of the class; `version` counts the shapes it has had, from 1;
    `tags` names the fields whose values tag an event for append conditions; `stream` names the
    stream of an event that no aggregate recorded, as in `order-{order_id}`.
    """

    name: str
    version: int = 1
    tags: tuple[str, ...] = ()
    stream: str = ""


_IDENTITY = "__diptych_identity__"


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class MessageMeta(msgspec.StructMeta):
    """Lets a message class say `class Paid(Event, name="payment.paid", version=2)`."""

    def __new__(
        mcls,
        class_name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        name: str | None = None,
        version: int = 1,
        tags: tuple[str, ...] = (),
        stream: str | None = None,
        **struct_options: Any,
    ) -> Any:
        """Make the struct, then note its identity."""
        cls = super().__new__(mcls, class_name, bases, namespace, **struct_options)
        for tag in tags:
            if tag not in cls.__struct_fields__:
                raise ConfigurationError(
                    f"{class_name} has no field {tag!r} to be tagged by; its fields are "
                    f"{', '.join(cls.__struct_fields__)}."
                )
        if stream is not None:
            check_template(class_name, stream, cls.__struct_fields__)
        identity = Identity(name or class_name, version, tuple(tags), stream or "")
        setattr(cls, _IDENTITY, identity)
        return cls


class Command(
    msgspec.Struct, metaclass=MessageMeta, frozen=True, forbid_unknown_fields=True, gc=False
):
    """Intent, named in the imperative: `class AddItemToCart(Command)`. Immutable.

    A command is decided once: accepted (events are recorded) or rejected (nothing is).
    """


class Event(
    msgspec.Struct, metaclass=MessageMeta, frozen=True, forbid_unknown_fields=True, gc=False
):
    """Fact, named in the past tense: `class ItemAddedToCart(Event)`. Immutable, stored for ever.

    Class options: `name` (stored type name, default the class name), `version` (shape, default 1;
    raise it when fields change and give an upcaster), `tags` (fields for append conditions),
    `stream` (as in `"order-{order_id}"`: where the event goes when a function returns it, or an
    outbox records it; what an aggregate decides goes to the aggregate's own stream).
    """


class Query(
    msgspec.Struct,
    Generic[A],
    metaclass=MessageMeta,
    frozen=True,
    forbid_unknown_fields=True,
    gc=False,
):
    """Question with a typed answer: `class GetCart(Query[CartPage])`. Changes nothing."""


def message(
    *,
    name: str | None = None,
    version: int = 1,
    tags: tuple[str, ...] = (),
    stream: str | None = None,
) -> Callable[[M], M]:
    """Give a frozen dataclass or pydantic model a stable name, a version, tags and a stream.

    ```python
    @message(name="item-added", version=2)
    @dataclass(frozen=True)
    class ItemAdded: ...
    ```
    """

    def mark(cls: M) -> M:
        if stream is not None:
            fields = {name for base in cls.__mro__ for name in getattr(base, "__annotations__", ())}
            check_template(cls.__name__, stream, fields)
        identity = Identity(name or cls.__name__, version, tuple(tags), stream or "")
        setattr(cls, _IDENTITY, identity)
        return cls

    return mark


def identity_of(cls: type) -> Identity:
    """The identity of any message class; a class that declares none is known by its own name."""
    found: Identity | None = cls.__dict__.get(_IDENTITY)
    return found if found is not None else Identity(cls.__name__)


def tags_of(event: object, fields: tuple[str, ...]) -> tuple[str, ...]:
    """The tags of one event: `("course_id:42",)` for `tags=("course_id",)`; lists give one each."""
    tags: list[str] = []
    for field in fields:
        value = getattr(event, field)
        if isinstance(value, list | tuple | set | frozenset):
            tags += [f"{field}:{one}" for one in value]
        elif value is not None:
            tags.append(f"{field}:{value}")
    return tuple(tags)
