"""What is different between two rows, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

__all__ = ["FieldDifference", "field_differences"]

_ABSENT = object()


class FieldDifference(msgspec.Struct, frozen=True):
    """One place within a row (`lines[2].amount`; '' for the whole row): as kept, as expected.

    `missing` and `extra`: the place is not there in the kept row, or should not be.
    """

    field: str
    kept: Any
    expected: Any
    missing: bool = False
    extra: bool = False


def field_differences(kept: Any, expected: Any) -> list[FieldDifference]:
    """What is different, each place once, as plain data. Empty when both are equal."""
    return list(_walk(_plain(kept), _plain(expected), ""))


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value, str_keys=True, enc_hook=str)


def _walk(kept: Any, expected: Any, at: str) -> Iterator[FieldDifference]:
    if isinstance(kept, dict) and isinstance(expected, dict):
        for name in [*expected, *(name for name in kept if name not in expected)]:
            where = f"{at}.{name}" if at else str(name)
            yield from _walk(kept.get(name, _ABSENT), expected.get(name, _ABSENT), where)
    elif isinstance(kept, list) and isinstance(expected, list):
        for index in range(max(len(kept), len(expected))):
            left = kept[index] if index < len(kept) else _ABSENT
            right = expected[index] if index < len(expected) else _ABSENT
            yield from _walk(left, right, f"{at}[{index}]")
    elif kept is _ABSENT:
        yield FieldDifference(at, None, expected, missing=True)
    elif expected is _ABSENT:
        yield FieldDifference(at, kept, None, extra=True)
    elif type(kept) is not type(expected) or kept != expected:
        yield FieldDifference(at, kept, expected)
