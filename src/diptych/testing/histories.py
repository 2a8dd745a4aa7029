"""Strategies for histories: events of the kinds a projection folds, in any order.

Needs Hypothesis (the extra `testing`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from diptych.errors import ConfigurationError, DiptychError
from diptych.messages.registry import place_of
from diptych.queries.projection import Plan
from diptych.testing.recording import check_stored, recorded
from diptych.testing.values import Strategy, Values

__all__ = ["Arrange", "Histories", "histories_of"]

Arrange = Callable[[list[Any]], Iterable[Any]]
"""Makes a possible history of any list of events: leaves some out, sorts, adds some."""

Histories = Strategy | Arrange | None

_WHO = st.sampled_from(["ann", "bob"])


def histories_of(
    plan: Plan, histories: Histories, events: Mapping[type, Strategy], longest: int
) -> Strategy:
    """Lists of up to `longest` events, which may stand in `recorded(...)`.

    Raises ConfigurationError for strategies of events that the projection does not fold.
    """
    if isinstance(histories, st.SearchStrategy):
        return histories.map(list)
    for cls in events:
        if cls not in plan.steps:
            known = ", ".join(sorted(one.__name__ for one in plan.steps))
            raise ConfigurationError(
                f"{place_of(plan.projection)} does not fold {cls.__name__}; it folds {known}."
            )
    values = Values(_keys(plan), events)
    one = st.one_of(*(values.of_class(cls).filter(_is_storable) for cls in plan.steps))
    if any(step.takes_envelope for step in plan.steps.values()):
        one = st.builds(_with_envelope, one, _AROUND)
    drawn = st.lists(one, min_size=1, max_size=longest)
    return drawn if histories is None else drawn.map(histories).map(list)


_AROUND = st.fixed_dictionaries(
    {},
    optional={
        "at": st.sampled_from([datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)]),
        "actor": _WHO,
        "tenant": _WHO,
        "stream": st.sampled_from(["scenario-2", "scenario-3"]),
    },
)


def _with_envelope(event: Any, around: dict[str, Any]) -> Any:
    return recorded(event, **around) if around else event


def _is_storable(event: Any) -> bool:
    """Whether a log would take the event: only then a projection can meet it."""
    try:
        check_stored(event)
    except (AssertionError, DiptychError):
        return False
    return True


def _keys(plan: Plan) -> frozenset[str]:
    """The fields of events that decide which row they touch: the key functions are watched."""
    read: set[str] = {plan.shape.key} if plan.shape is not None else set()
    for step in plan.steps.values():
        if step.keys is not None:
            # What the function makes of something that is no event does not matter.
            with contextlib.suppress(Exception):
                list(step.keys(_Watched(read)))
    return frozenset(read)


class _Watched:
    """Stands for an event, and notes which of its fields are read."""

    def __init__(self, read: set[str]) -> None:
        self._read = read

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):
            self._read.add(name)
        return _Anything()


class _Anything:
    """What is read of an event that is not there; goes on for as long as it is asked."""

    def __getattr__(self, name: str) -> Any:
        return self

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self

    def __iter__(self) -> Iterator[Any]:
        return iter(())
