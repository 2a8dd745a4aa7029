"""What keeps everybody who writes waiting, as a store sees it."""

from __future__ import annotations

import msgspec

__all__ = ["Obstacle"]


class Obstacle(msgspec.Struct, frozen=True):
    """Somebody in whose way others stand. `str` of it is a sentence for people.

    `cause` says who it is and stays the same for as long as it is the same one; `seconds` is for
    how long somebody has certainly been waiting, or could not have gone on. It is for showing:
    nothing is decided by it.
    """

    cause: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.cause}, for {self.seconds:.0f} s"
