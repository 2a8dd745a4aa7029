"""Expected against actual, field by field, in words."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

__all__ = ["differences", "indented", "picture"]

_MISSING = object()
_MAX_LINES = 20
_PLAIN = frozenset({str, int, bool, type(None), bytes})


def picture(value: Any) -> Any:
    """A deep copy of `value` made of plain data, so that two moments of one object can be compared.

    Objects become `{"": class name, field: picture, ...}`, whatever kind of class they are.
    """
    if type(value) in _PLAIN:
        return value
    made = value
    if isinstance(value, float):
        made = "NaN" if math.isnan(value) else value
    elif isinstance(value, Mapping):
        made = {_name(key): picture(one) for key, one in value.items()}
    elif isinstance(value, set | frozenset):
        made = {"": "set", **{_name(one): True for one in value}}
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        made = [picture(one) for one in value]
    elif (fields := _fields_of(value)) is not None:
        name = type(value).__qualname__
        made = {"": name, **{field: picture(one) for field, one in fields.items()}}
    return made


def differences(expected: Any, actual: Any, at: str = "") -> list[str]:
    """What is different, one line each: `amount: expected 30, was 40`. Empty when nothing is."""
    lines = list(_walk(picture(expected), picture(actual), at))
    if len(lines) > _MAX_LINES:
        lines[_MAX_LINES:] = [f"... and {len(lines) - _MAX_LINES} more differences"]
    return lines


def indented(title: str, things: Sequence[Any], width: int = 8) -> list[str]:
    """Lines of an explanation: the title before the first thing, the others below it."""
    texts = [one if isinstance(one, str) else repr(one) for one in things] or ["(nothing)"]
    return [f"  {title if at == 0 else '':<{width}}{text}" for at, text in enumerate(texts)]


def _walk(expected: Any, actual: Any, at: str) -> Iterator[str]:
    if isinstance(expected, dict) and isinstance(actual, dict):
        if expected.get("") != actual.get(""):
            yield f"{at or 'it'}: expected {_shown(expected)}, was {_shown(actual)}"
            return
        for name in [*expected, *(name for name in actual if name not in expected)]:
            if name:
                left, right = expected.get(name, _MISSING), actual.get(name, _MISSING)
                yield from _walk(left, right, f"{at}.{name}" if at else name)
    elif isinstance(expected, list) and isinstance(actual, list):
        for index in range(max(len(expected), len(actual))):
            left = expected[index] if index < len(expected) else _MISSING
            right = actual[index] if index < len(actual) else _MISSING
            yield from _walk(left, right, f"{at}[{index}]")
    elif expected is _MISSING:
        yield f"{at}: not expected, was {_shown(actual)}"
    elif actual is _MISSING:
        yield f"{at}: expected {_shown(expected)}, was missing"
    elif type(expected) is not type(actual) or expected != actual:
        yield f"{at or 'it'}: expected {_shown(expected)}, was {_shown(actual)}"


def _shown(value: Any) -> str:
    if isinstance(value, dict) and "" in value:
        fields = ", ".join(f"{name}={_shown(one)}" for name, one in value.items() if name)
        return f"{value['']}({fields})"
    return repr(value)


def _name(key: Any) -> str:
    return key if isinstance(key, str) else repr(key)


def _fields_of(value: Any) -> dict[str, Any] | None:
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
    if isinstance(value, type | enum.Enum) or callable(value):
        return None
    own_equality = "__eq__" in {name for cls in type(value).__mro__[:-1] for name in vars(cls)}
    if own_equality and not hasattr(type(value), "model_fields"):
        return None  # it knows best when it is equal: int, datetime, Decimal, ...
    found: dict[str, Any] | None = getattr(value, "__dict__", None)
    return found
