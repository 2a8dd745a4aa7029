"""What a handler's annotations say: which messages it takes, what it wants, what it gives.

Routing goes by these annotations and by nothing else, so it is checked when the application is
built and a reader of the code sees it.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Union, get_args, get_origin

from diptych.errors import ConfigurationError
from diptych.messages.registry import place_of

__all__ = ["Signature", "has_field", "is_message", "members_of", "signature_of"]


class Signature(NamedTuple):
    """Parameters (without `self`) with their types, in order, and the return type.

    `returns` is `inspect.Signature.empty` where nothing is annotated.
    """

    parameters: dict[str, Any]
    returns: Any


def signature_of(function: Callable[..., Any]) -> Signature:
    """Read the annotations of a function or method.

    Raises ConfigurationError, naming the place, when one cannot be resolved.
    """
    try:
        hints = typing.get_type_hints(function, include_extras=True)
        parameters = inspect.signature(function).parameters
    except (NameError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"the annotations of {place_of(function)} cannot be read: {error}. Message types must "
            "be defined at module level, or before the handler without postponed annotations."
        ) from error
    wanted = {n: hints.get(n, inspect.Parameter.empty) for n in parameters if n != "self"}
    returns = hints.get("return", inspect.Signature.empty)
    return Signature(wanted, returns)


def members_of(annotation: Any) -> tuple[Any, ...]:
    """The classes that an annotation allows: `A | B` gives both, `list[A | B] | None` likewise.

    `None` stands as `NoneType`. A bare `Event`, `Any` or object is returned as it is.
    """
    found: list[Any] = []
    todo = [annotation]
    while todo:
        one = todo.pop(0)
        origin = get_origin(one)
        if origin is Union or origin is types.UnionType:
            todo = list(get_args(one)) + todo
        elif origin in _CONTAINERS:
            todo = [arg for arg in get_args(one) if arg is not Ellipsis] + todo
        elif origin is typing.Annotated:
            todo.insert(0, get_args(one)[0])
        else:
            found.append(type(None) if one is None else one)
    return tuple(dict.fromkeys(found))


_CONTAINERS = frozenset({list, tuple, Iterable, Iterator, Generator})
_NOT_MESSAGES = (
    inspect.Parameter.empty,
    str,
    bytes,
    int,
    float,
    bool,
    list,
    dict,
    tuple,
    set,
    type(None),
    Mapping,
)


def is_message(annotation: Any) -> bool:
    """Whether an annotation could be a message class: a class of data, not a built-in."""
    return (
        isinstance(annotation, type) and annotation is not Any and annotation not in _NOT_MESSAGES
    )


def has_field(cls: type, name: str) -> bool:
    """Whether a message class has a field: struct, dataclass, pydantic model or annotated class."""
    return any(name in getattr(base, "__annotations__", {}) for base in cls.__mro__)
