"""JSON as it is typed: in an argument, from a file (`@file`), or from stdin (`-`)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from diptych.cli.running import interruptible
from diptych.errors import ConfigurationError, InvalidMessage

__all__ = ["json_bytes", "lines_of_stdin"]

_MOST_BYTES = 64 << 20
"""More than any message may have: reading stops here whatever is at the other end."""


def json_bytes(given: str) -> bytes:
    """The bytes that `given` stands for. Raises ConfigurationError for an unreadable file."""
    if given == "-":
        return _limited(_stdin(), "stdin")
    if given.startswith("@"):
        try:
            with Path(given[1:]).open("rb") as file:
                return _limited(file, given[1:])
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise ConfigurationError(f"cannot read {given[1:]!r}: {why}.") from error
    return given.encode("utf-8", "surrogateescape")


def lines_of_stdin() -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, with their numbers."""
    stdin = _stdin()
    number = 0
    while True:
        with interruptible():
            line = stdin.readline(_MOST_BYTES + 1)
        if not line:
            return
        number += 1
        if len(line) > _MOST_BYTES:
            raise _too_large(f"line {number}")
        if line.strip():
            yield number, line


def _limited(file: BinaryIO, name: str) -> bytes:
    data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise _too_large(name)
    return data


def _stdin() -> BinaryIO:
    return sys.stdin.buffer


def _too_large(name: str) -> InvalidMessage:
    return InvalidMessage(
        f"{name} holds more than {_MOST_BYTES:,} bytes, which is more than any message.", type=name
    )
