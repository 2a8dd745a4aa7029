"""What was seen to be wrong while it happened: bounds (R12), waits without end, strange errors."""

from __future__ import annotations

from collections.abc import Iterator

from diptych.testing.simulation.history import History, Noticed

__all__ = ["nothing_was_noticed"]


def nothing_was_noticed(history: History) -> Iterator[str]:
    """Nothing that must not happen was seen.

    >>> list(nothing_was_noticed(History([Noticed("p1", "R12", "7 calls at once")])))
    ['R12 p1: 7 calls at once']
    """
    for one in history.of(Noticed):
        yield " ".join(filter(None, [one.promise, f"{one.process}:", one.text]))
