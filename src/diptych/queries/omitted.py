"""Events that have no effect on a key: what a fold leaves out."""

from __future__ import annotations

from collections.abc import Iterable

from diptych.messages.envelope import Envelope
from diptych.queries.parked import Parked

__all__ = ["Omitted"]


class Omitted:
    """What is parked or skipped of one projection, as a fold looks it up.

    Rows are the fold of all their events but these. False when there are none.
    """

    def __init__(self, entries: Iterable[Parked]) -> None:
        self._by_key: set[tuple[str, int]] = set()
        self._whole: set[int] = set()
        for one in entries:
            if one.by_stream:
                self._whole.add(one.position)
            else:
                self._by_key.add((one.key, one.position))

    def __bool__(self) -> bool:
        return bool(self._by_key or self._whole)

    def leaves_out(self, key: str, envelope: Envelope) -> bool:
        """Whether an event has no effect on the row of `key`."""
        return (key, envelope.stored.position) in self._by_key

    def leaves_out_all(self, envelope: Envelope) -> bool:
        """Whether an event has no effect at all."""
        return envelope.stored.position in self._whole
