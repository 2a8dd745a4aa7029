"""What `find` means, in Python: filters, words and order over rows held in memory.

A store with an engine of its own says the same in its own language; the contract suite compares.
"""

from __future__ import annotations

import enum
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from diptych.errors import ConfigurationError
from diptych.queries.read_model import RowShape
from diptych.queries.read_store import Filter, Find

__all__ = ["check_fields", "holds", "matches", "meets", "ordered", "words_in", "words_of"]

_find_words = re.compile(r"[^\W_]+").findall
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Keyed(Protocol):
    """A row, whoever keeps it."""

    @property
    def key(self) -> str:
        """Its key."""

    @property
    def value(self) -> Any:
        """Its read model."""


K = TypeVar("K", bound=Keyed)
_key_of = operator.attrgetter("key")


def check_fields(shape: RowShape, find: Find) -> None:
    """Raise ConfigurationError for a field that is not declared, or a search without words."""
    fields = (shape.key, *shape.indexes)
    wanted = [one.field for one in find.filters]
    if find.order_by is not None:
        wanted.append(find.order_by)
    for name in wanted:
        if name not in shape.model.__struct_fields__:  # type: ignore[attr-defined]
            raise ConfigurationError(
                f"{shape.model.__name__} has no field {name!r}. It can be looked up and ordered by "
                f"{', '.join(fields)}, with the endings __lt, __lte, __gt, __gte and __in."
            )
        if name not in fields:
            raise ConfigurationError(
                f"{shape.model.__name__} cannot be looked up or ordered by {name!r}: name it in "
                f"indexes=(...) of the read model. So far: {', '.join(fields)}."
            )
    if find.search is not None and not shape.search:
        raise ConfigurationError(
            f"{shape.model.__name__} has no search fields: class {shape.model.__name__}(ReadModel, "
            'search=("...",)).'
        )


def matches(value: Any, find: Find, shape: RowShape) -> bool:
    """Whether a row's read model meets the filters and holds the words asked for."""
    if not all(meets(value, one) for one in find.filters):
        return False
    return find.search is None or holds(words_in(value, shape), find.search)


def meets(value: Any, wanted: Filter) -> bool:
    """Whether a read model meets one filter. None is only ever equal, never less or more."""
    left = _plain(getattr(value, wanted.field))
    if wanted.operator == "in":
        return any(left == _plain(one) for one in wanted.value)
    right = _plain(wanted.value)
    if wanted.operator == "=":
        return bool(left == right)
    return left is not None and right is not None and _COMPARE[wanted.operator](left, right)


def holds(words: Sequence[str], search: str) -> bool:
    """Whether each word of `search` begins one of `words`; a search without words finds nothing."""
    wanted = words_of(search)
    return bool(wanted) and all(any(w.startswith(part) for w in words) for part in wanted)


def words_in(value: Any, shape: RowShape) -> list[str]:
    """The words of a row's search fields, as `words_of` gives them."""
    return [word for field in shape.search for word in words_of(str(getattr(value, field) or ""))]


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case: runs of letters and digits."""
    return _find_words(text.lower())


def ordered(rows: Iterable[K], find: Find) -> list[K]:
    """Rows in the order asked for: by field, ties by key, None last; by key without a field."""
    found = sorted(rows, key=_key_of, reverse=find.descending and find.order_by is None)
    if find.order_by is None:
        return found
    field = find.order_by
    there = [row for row in found if getattr(row.value, field) is not None]
    there.sort(key=lambda row: _plain(getattr(row.value, field)), reverse=find.descending)
    return there + [row for row in found if getattr(row.value, field) is None]


def _plain(value: Any) -> Any:
    # An enum is stored and compared as its value.
    return value.value if isinstance(value, enum.Enum) else value
