"""What a program reads: one JSON object per line on stdout. And text made safe for a terminal."""

from __future__ import annotations

import sys
from typing import Any

from diptych.errors import DiptychError

__all__ = ["as_json", "counted", "error_object", "plain", "print_json", "print_line", "printable"]


def plain(value: Any) -> Any:
    """Any message, row or answer as what JSON has: objects, lists, strings, numbers."""
    import msgspec

    return msgspec.to_builtins(value, str_keys=True, enc_hook=_unusual)


def as_json(value: Any) -> str:
    """One line of JSON, whatever `value` holds."""
    import msgspec

    try:
        return msgspec.json.encode(plain(value)).decode()
    except UnicodeEncodeError:  # half a surrogate pair, which UTF-8 cannot carry
        return msgspec.json.encode(_without_surrogates(plain(value))).decode()


def print_json(value: Any) -> None:
    """Print one line of JSON."""
    print_line(as_json(value))


def print_line(text: str = "", *, flush: bool = True) -> None:
    """Print one line; with `flush`, seen at once by whoever reads the other end of a pipe."""
    sys.stdout.write(text + "\n")
    if flush:
        sys.stdout.flush()


def error_object(error: DiptychError) -> dict[str, Any]:
    """An error as an object: its facts, and what every error has."""
    known = {"code": error.code, "message": error.message, "retryable": error.retryable}
    return known | error.facts | known


def counted(number: int, one: str, several: str | None = None) -> str:
    """`1 event`, `2,000 events`."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def printable(text: str) -> str:
    """Text that cannot move the cursor, ring the bell or turn around what is written after it."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def _escaped(one: str) -> str:
    return one.encode("unicode_escape").decode()


def _unusual(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")  # pydantic
    return str(value)


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, list):
        return [_without_surrogates(one) for one in value]
    if isinstance(value, dict):
        return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
    return value
