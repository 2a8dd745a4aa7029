"""Event filters as SQL: positions of events by type and tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diptych.events.condition import EventFilter

__all__ = ["NO_END", "positions_matching"]

NO_END = (1 << 63) - 1
"""The last position that SQLite can count to."""


def positions_matching(
    filters: Sequence[EventFilter], after: int, upto: int
) -> tuple[str, list[Any]]:
    """SQL and its parameters for positions in (after, upto] that match one of `filters`.

    A position that matches two filters comes twice; the order is not defined. A filter with tags
    follows the tag index; one with types only looks at every event in the range.
    """
    selects: list[str] = []
    parameters: list[Any] = []
    for wanted in filters:
        select, values = _by_tags(wanted) if wanted.tags else _by_types(wanted)
        selects.append(select)
        parameters += (*values, after, upto)
    return " UNION ALL ".join(selects), parameters


def _by_types(wanted: EventFilter) -> tuple[str, list[Any]]:
    among = f"e.type IN ({_marks(wanted.types)}) AND" if wanted.types else ""
    select = f"SELECT e.position FROM events AS e WHERE {among} e.position > ? AND e.position <= ?"  # noqa: S608
    return select, list(wanted.types)


def _by_tags(wanted: EventFilter) -> tuple[str, list[Any]]:
    first, *others = wanted.tags
    joins, parameters = "", list[Any]()
    for number, tag in enumerate(others):
        # CROSS JOIN fixes the order: the range of the first tag leads, the others are looked up.
        joins += (
            f" CROSS JOIN event_tags AS t{number}"
            f" ON t{number}.tag = ? AND t{number}.position = t.position"
        )
        parameters.append(tag)
    if wanted.types:
        joins += (
            " CROSS JOIN events AS e"
            f" ON e.position = t.position AND e.type IN ({_marks(wanted.types)})"
        )
        parameters += wanted.types
    select = (
        f"SELECT t.position FROM event_tags AS t{joins}"  # noqa: S608
        " WHERE t.tag = ? AND t.position > ? AND t.position <= ?"
    )
    return select, [*parameters, first]


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))
