"""What `find` means, in Python: filters, words and order over rows held in memory.

A store with an engine of its own says the same in its own language; the contract suite compares.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from typing import Any

from diptych.errors import ConfigurationError
from diptych.queries.read_model import RowShape
from diptych.queries.read_store import Filter, Find, Row

__all__ = ["check_fields", "matches", "ordered", "words_in", "words_of"]

_find_words = re.compile(r"[^\W_]+").findall
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def check_fields(shape: RowShape, find: Find) -> None:
    """Raise ConfigurationError for a field that is not declared, or a search without words."""
    fields = (shape.key, *shape.indexes)
    wanted = [one.field for one in find.filters]
    if find.order_by is not None:
        wanted.append(find.order_by)
    for name in wanted:
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
    if not all(_meets(getattr(value, one.field), one) for one in find.filters):
        return False
    if find.search is None:
        return True
    words = words_in(value, shape)
    wanted = words_of(find.search)
    return bool(wanted) and all(any(w.startswith(part) for w in words) for part in wanted)


def words_in(value: Any, shape: RowShape) -> list[str]:
    """The words of a row's search fields, in lower case."""
    return [word for field in shape.search for word in words_of(str(getattr(value, field) or ""))]


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case: runs of letters and digits."""
    return _find_words(text.lower())


def ordered(rows: Iterable[Row], find: Find) -> list[Row]:
    """Rows in the order asked for: by field, ties by key, None last; by key without a field."""
    found = sorted(rows, key=lambda row: row.key)
    if find.order_by is None:
        return found
    field = find.order_by
    there = [row for row in found if getattr(row.value, field) is not None]
    there.sort(key=lambda row: getattr(row.value, field), reverse=find.descending)
    return there + [row for row in found if getattr(row.value, field) is None]


def _meets(value: Any, one: Filter) -> bool:
    if one.operator == "in":
        return any(value == wanted for wanted in one.value)
    if one.operator == "=":
        return bool(value == one.value)
    if value is None or one.value is None:
        return False
    return _COMPARE[one.operator](value, one.value)
