"""R4, R5: no update is lost, and every stream is gap-free and ascending in the order of the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from diptych.testing.simulation.history import Appended, History

__all__ = ["no_lost_update", "streams_are_gap_free"]


def streams_are_gap_free(history: History) -> Iterator[str]:
    """Positions are dense from 1, versions dense from 1 in each stream, both in one order.

    >>> from diptych.messages.envelope import StoredEvent
    >>> list(
    ...     streams_are_gap_free(
    ...         History((), [StoredEvent(1, "a", 2, "T", 1, b"", b"", 0)])
    ...     )
    ... )
    ['a has version 2 at position 1, where version 1 belongs']
    """
    versions: Counter[str] = Counter()
    for at, event in enumerate(history.log, 1):
        versions[event.stream] += 1
        if event.position != at:
            yield f"the log has position {event.position} where {at} belongs"
        if event.version != versions[event.stream]:
            yield (
                f"{event.stream} has version {event.version} at position {event.position}, where "
                f"version {versions[event.stream]} belongs"
            )


def no_lost_update(history: History) -> Iterator[str]:
    """What was appended was decided on the version that its stream had.

    >>> one = Appended("p1", 1, "c-1", first=1, events=1, streams=(("a", 0, 1),))
    >>> two = Appended("p2", 2, "c-2", first=2, events=1, streams=(("a", 0, 1),))
    >>> list(no_lost_update(History([one, two])))
    ['c-2 was decided on version 0 of a, which was at 1']
    """
    versions: Counter[str] = Counter()
    for one in history.of(Appended):
        if one.repeated:
            continue
        for stream, expected, events in one.streams:
            if expected not in (-1, versions[stream]):
                yield (
                    f"{one.command_id} was decided on version {expected} of {stream}, which was at "
                    f"{versions[stream]}"
                )
            versions[stream] += events
