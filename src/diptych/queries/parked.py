"""What is parked: an event that a projection could not fold, and the later ones of the same key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

import msgspec

__all__ = ["Because", "Lane", "Parked", "waiting_lanes"]

Because = Literal["failed", "follows", "skipped"]
"""Why an event has no effect on a key: it failed; one before it failed; somebody said so."""


class Lane(NamedTuple):
    """What stays in order: the events of one key; or of one stream, where the key is not known.

    `name` is the row's key, or the name of the stream.
    """

    name: str
    by_stream: bool = False


class Parked(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event that has no effect on one key of one projection, for now or for good.

    `key` is the row's, or with `by_stream` the name of the stream, when nobody could tell which
    rows the event touches (it cannot be decoded), or there are none (own SQL). `error` is one line,
    `trace` the stack; `attempts` counts how often it failed. A skipped one carries who skipped it
    (`actor`) and the `reason`. `at_us`: microseconds since 1970, UTC.
    """

    key: str
    position: int
    stream: str
    type: str
    because: Because = "failed"
    by_stream: bool = False
    error: str = ""
    trace: str = ""
    attempts: int = 1
    at_us: int = 0
    reason: str = ""
    actor: str = ""

    @property
    def waits(self) -> bool:
        """Whether it is to be folded yet: it was not skipped for good."""
        return self.because != "skipped"

    @property
    def lane(self) -> Lane:
        """What it keeps waiting."""
        return Lane(self.key, self.by_stream)


def waiting_lanes(entries: Iterable[Parked]) -> set[Lane]:
    """The lanes in which something waits."""
    return {one.lane for one in entries if one.waits}
