"""R9: parked, not lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from diptych.queries.parked import Lane, Parked
from diptych.testing.simulation.history import Dropped, History, Record, Reset, Written

__all__ = ["Waiting", "parked_is_kept"]


class Waiting:
    """What is parked or skipped in each generation, record after record."""

    def __init__(self) -> None:
        self.of: dict[str, dict[tuple[Lane, int], Parked]] = defaultdict(dict)

    def follow(self, one: Record) -> None:
        """One thing has happened."""
        if isinstance(one, Written):
            entries = self.of[one.projection]
            for gone in one.unparked:
                entries.pop((gone.lane, gone.position), None)
            for entry in one.parked:
                entries[entry.lane, entry.position] = entry
        elif isinstance(one, Dropped):
            self.of.pop(one.projection, None)
        elif isinstance(one, Reset):
            kept = self.of[one.projection].items()
            self.of[one.projection] = {at: p for at, p in kept if p.because == "skipped"}


def parked_is_kept(history: History) -> Iterator[str]:
    """What was parked and neither retried nor forgotten with its rows is still parked at the end.

    `history.parked` says what is, by generation.

    >>> entry = Parked("a", 1, "a", "Added")
    >>> lost = History([Written("p1", "rows", upto=1, parked=(entry,))])
    >>> lost.parked = {"rows": []}
    >>> list(parked_is_kept(lost))
    ["rows has lost position 1, which was parked for 'a'"]
    """
    waiting = Waiting()
    for one in history.records[: history.parked_at]:
        waiting.follow(one)
    for projection, entries in history.parked.items():
        there = {(one.lane, one.position) for one in entries}
        must = set(waiting.of[projection])
        for lane, position in sorted(must - there):
            yield f"{projection} has lost position {position}, which was parked for {lane.name!r}"
        for lane, position in sorted(there - must):
            yield f"{projection} has position {position} for {lane.name!r}, which nobody parked"
