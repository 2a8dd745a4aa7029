"""R13: who is told that nothing was written can believe it."""

from __future__ import annotations

from collections.abc import Iterator

from diptych.testing.simulation.history import Answered, Appended, History

__all__ = ["errors_are_honest"]

_MAY_HAVE_HAPPENED = ("done", "rejected", "outcome_unknown")


def errors_are_honest(history: History) -> Iterator[str]:
    """An attempt that had an effect was answered, or told that its outcome is unknown.

    >>> wrote = Appended("p1", 1, "c-1", first=1, events=1)
    >>> list(
    ...     errors_are_honest(
    ...         History([wrote, Answered("p1", 1, "c-1", "store_unavailable")])
    ...     )
    ... )
    ['c-1 was written at position 1, and its caller was told store_unavailable']
    """
    told = {one.attempt: one.outcome for one in history.of(Answered)}
    for one in history.of(Appended):
        outcome = told.get(one.attempt)
        if one.events and not one.repeated and outcome not in (None, *_MAY_HAVE_HAPPENED):
            yield (
                f"{one.command_id} was written at position {one.first}, and its caller was told "
                f"{outcome}"
            )
