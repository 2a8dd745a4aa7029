"""R6: a checkpoint never passes an event that its mover has not read, and R2 for what is inline."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from diptych.testing.simulation.history import (
    Appended,
    Dropped,
    Fetched,
    History,
    Reset,
    Written,
)

__all__ = ["checkpoints_pass_nothing", "inline_is_never_behind"]


def checkpoints_pass_nothing(history: History) -> Iterator[str]:
    """Each change begins where the last one ended, and ends within what its process has read.

    >>> unread = Written("p1", "rows", after=0, upto=5)
    >>> list(checkpoints_pass_nothing(History([Fetched("p1", 0, 3), unread])))
    ['rows was moved to 5 by p1, which had not read 4']
    """
    read: dict[str, set[int]] = defaultdict(set)
    stands: dict[str, int] = defaultdict(int)
    for one in history.records:
        if isinstance(one, Fetched):
            read[one.process].update(range(one.after + 1, one.upto + 1))
        elif isinstance(one, Reset | Dropped):
            stands[one.projection] = 0
        elif isinstance(one, Written):
            if one.after != stands[one.projection]:
                yield (
                    f"{one.projection} stood at {stands[one.projection]}, and {one.process} went "
                    f"on from {one.after}"
                )
            unread = set(range(one.after + 1, one.upto + 1)) - read[one.process]
            if unread and not one.inline:
                yield (
                    f"{one.projection} was moved to {one.upto} by {one.process}, which had not "
                    f"read {min(unread)}"
                )
            stands[one.projection] = one.upto


def inline_is_never_behind(history: History) -> Iterator[str]:
    """With every append, the inline projections have come to its last event.

    >>> list(
    ...     inline_is_never_behind(
    ...         History([Appended("p1", first=1, events=2, inline={"c": 1})])
    ...     )
    ... )
    ['c stood at 1 when position 2 was durable']
    """
    for one in history.of(Appended):
        last = one.first + one.events - 1
        for projection, stands in one.inline.items():
            if one.events and not one.repeated and stands < last:
                yield f"{projection} stood at {stands} when position {last} was durable"
