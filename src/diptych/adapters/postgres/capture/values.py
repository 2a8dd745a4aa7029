"""Column values: what PostgreSQL writes as text, as Python has it.

The text is that of a connection with DateStyle ISO, TimeZone UTC and hexadecimal bytea. A type that
is not listed (an enum, a domain, an interval, a range) stays text, and so does a date that Python
cannot hold (infinity, before the year 1 or after 9999).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

__all__ = ["value_of"]


def _bool(text: str) -> bool:
    return text == "t"


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])


_SCALARS: dict[int, Callable[[str], Any]] = {
    16: _bool,
    17: _bytes,
    20: int,
    21: int,
    23: int,
    26: int,
    114: json.loads,
    700: float,
    701: float,
    1082: date.fromisoformat,
    1083: time.fromisoformat,
    1114: datetime.fromisoformat,
    1184: datetime.fromisoformat,
    1700: Decimal,
    2950: UUID,
    3802: json.loads,
}

_ARRAYS: dict[int, int] = {
    199: 114,
    1000: 16,
    1001: 17,
    1002: 18,
    1003: 19,
    1005: 21,
    1007: 23,
    1009: 25,
    1014: 1042,
    1015: 1043,
    1016: 20,
    1021: 700,
    1022: 701,
    1028: 26,
    1115: 1114,
    1182: 1082,
    1183: 1083,
    1185: 1184,
    1231: 1700,
    2951: 2950,
    3807: 3802,
}
"""The built-in array types and what is in them."""


def value_of(type_id: int, text: str) -> Any:
    """The Python value of `text`, a value of the type with this id (`pg_type.oid`)."""
    element = _ARRAYS.get(type_id)
    if element is not None:
        return _array(text, element)
    read = _SCALARS.get(type_id)
    if read is None:
        return text
    try:
        return read(text)
    except ValueError:
        return text


def _array(text: str, element: int) -> Any:
    # Bounds other than from 1 stand in front: [0:2]={1,2,3}. A Python list has none.
    body = text[text.index("={") + 1 :] if text.startswith("[") else text
    found: list[Any] = []
    open_lists = [found]
    at = 0
    while at < len(body):
        letter = body[at]
        if letter == "{":
            inner: list[Any] = []
            open_lists[-1].append(inner)
            open_lists.append(inner)
        elif letter == "}":
            open_lists.pop()
        elif letter == '"':
            item, at = _quoted(body, at + 1)
            open_lists[-1].append(value_of(element, item))
        elif letter != ",":
            end = at + 1
            while body[end] not in ",}":
                end += 1
            item = body[at:end]
            open_lists[-1].append(None if item == "NULL" else value_of(element, item))
            at = end - 1
        at += 1
    return found[0]


def _quoted(body: str, at: int) -> tuple[str, int]:
    """The quoted item that begins at `at`, and where its closing quote stands."""
    letters: list[str] = []
    while body[at] != '"':
        if body[at] == "\\":
            at += 1
        letters.append(body[at])
        at += 1
    return "".join(letters), at
