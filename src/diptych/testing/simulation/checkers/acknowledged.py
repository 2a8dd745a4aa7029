"""R1: what was acknowledged is in the log, where the answer said it is."""

from __future__ import annotations

from collections.abc import Iterator

from diptych.testing.simulation.history import Answered, History

__all__ = ["acknowledged_is_there"]


def acknowledged_is_there(history: History) -> Iterator[str]:
    """Every command that was answered has its last event at the position of its token.

    >>> lost = History(
    ...     [Answered("p1", 1, "c-1", "done", position=1, stream="a", version=1)]
    ... )
    >>> list(acknowledged_is_there(lost))
    ['c-1 was acknowledged at position 1, and the log ends at 0']
    """
    for one in history.of(Answered):
        if one.outcome != "done" or not one.position:
            continue
        if one.position > len(history.log):
            yield (
                f"{one.command_id} was acknowledged at position {one.position}, and the log ends "
                f"at {len(history.log)}"
            )
            continue
        event = history.log[one.position - 1]
        cause = f'"{one.command_id}"'.encode()
        if cause not in event.meta:
            yield (
                f"{one.command_id} was acknowledged at position {one.position}, where there is "
                f"{event.type} of another command"
            )
