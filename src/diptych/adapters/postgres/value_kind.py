"""How values of one kind are kept in a column, read from it, and compared with it.

The driver converts silently where it should not (1.5 becomes 1 in a bigint, a time without a zone
is taken for local time), so every value is of a type that is known to come back equal, or is
refused here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

__all__ = ["Bound", "NeverEqual", "Unkeepable", "ValueKind", "equal_if", "kind", "of", "only"]

Values = Sequence[Any]


class Unkeepable(ValueError):
    """A value that this kind of column cannot keep; says why, and what to annotate instead."""


class NeverEqual(ValueError):
    """A value that no value of this kind is equal to."""


class Bound(msgspec.Struct, frozen=True):
    """A comparison as SQL: `operator`, and the value to send as SQL type `sent_as`."""

    operator: str
    value: Any
    cast: str = ""


class ValueKind(msgspec.Struct, frozen=True):
    """One kind of value.

    `type` is the column's SQL type, `sent_as` the type of parameters. `keep` makes of one value
    what the driver takes, or raises Unkeepable; values of the types `untouched` need no such look,
    unless `refusal` (asked only when PostgreSQL or the driver refused) says why not. `read` makes
    values of what the driver gave. `equal` and `bound` make a value comparable.
    """

    type: str
    keep: Callable[[Any], Any]
    untouched: frozenset[Any] = frozenset()
    read: Callable[[Values], list[Any]] | None = None
    refusal: Callable[[Any], str | None] = lambda _: None
    sent_as: str = ""
    equal: Callable[[Any], Any] | None = None
    bound: Callable[[str, Any], Bound] | None = None

    @property
    def parameter(self) -> str:
        """The SQL type that values are sent as."""
        return self.sent_as or self.type

    def kept(self, values: Values) -> Values:
        """A column of values, ready for the driver. Raises Unkeepable."""
        if self.untouched.issuperset(map(type, values)):
            return values
        keep, untouched = self.keep, self.untouched
        return [each if each is None or type(each) in untouched else keep(each) for each in values]


def of(*types: type) -> frozenset[Any]:
    """These types, and that of None."""
    return frozenset({*types, type(None)})


def only(*types: type) -> Callable[[Any], Any]:
    """A `keep` that takes values of exactly these types."""

    def keep(value: Any) -> Any:
        if type(value) in types:
            return value
        raise Unkeepable(f"it is {value!r}, which is no {types[0].__name__}")

    return keep


def equal_if(*types: type) -> Callable[[Any], Any]:
    """An `equal` for values of these types; others are never equal."""

    def equal(value: Any) -> Any:
        if isinstance(value, types):
            return value
        raise NeverEqual

    return equal


def _bound_by(equal: Callable[[Any], Any]) -> Callable[[str, Any], Bound]:
    return lambda operator, value: Bound(operator, equal(value))


def kind(type_: str, keep: Any, untouched: frozenset[Any], equal: Any, **more: Any) -> ValueKind:
    """A kind whose values compare in the database as they do in Python."""
    return ValueKind(type_, keep, untouched, equal=equal, **{"bound": _bound_by(equal), **more})
