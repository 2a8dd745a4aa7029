"""A mark of a projection's code, by which a change of it is noticed."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from types import CodeType
from typing import Any

__all__ = ["code_mark", "same_code"]

_NOT_OWN = frozenset({"builtins", "typing", "diptych.queries.projection"})
"""Where the classes are that every projection derives from."""

_VERSION = f"{sys.version_info.major}{sys.version_info.minor}"


def code_mark(projection: type) -> str:
    """A mark that changes with the instructions of a class' methods, not with their comments or
    layout: the version of Python that compiled them, and eight hexadecimal digits.

    What they call is not part of it: where rows change because of that, declare a `version`.
    """
    made = hashlib.blake2b(digest_size=4)
    own = [cls for cls in projection.__mro__ if cls.__module__ not in _NOT_OWN]
    for cls in reversed(own):
        for name, thing in sorted(vars(cls).items()):
            for code in _codes_of(thing):
                made.update(f"{cls.__name__}.{name}\0{_told(code)}\0".encode())
    return f"{_VERSION}-{made.hexdigest()}"


def same_code(one: str, other: str) -> bool:
    """Whether two marks are of the same code, as far as they can be compared ('': they cannot)."""
    versions = {one.partition("-")[0], other.partition("-")[0]}
    return "" in versions or len(versions) > 1 or one == other


def _codes_of(thing: Any) -> Iterator[CodeType]:
    """The code of a method, and of what was hung on it (functions that give keys)."""
    function = getattr(thing, "__func__", thing)
    code = getattr(function, "__code__", None)
    if isinstance(code, CodeType):
        yield code
        for attached in vars(function).values():
            yield from _codes_of(attached)


def _told(code: CodeType) -> str:
    """Instructions and what they use, without where they stood."""
    constants = [_constant(one) for one in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {constants}"


def _constant(value: Any) -> str:
    if isinstance(value, CodeType):
        return _told(value)
    if isinstance(value, frozenset):  # its order differs from process to process
        return repr(sorted(map(repr, value)))
    return repr(value)
