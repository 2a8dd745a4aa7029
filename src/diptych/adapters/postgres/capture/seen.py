"""Which transactions the rows at the beginning showed already."""

from __future__ import annotations

import msgspec

__all__ = ["Seen"]

_HALF = 1 << 31


class Seen(msgspec.Struct, frozen=True):
    """What a snapshot saw: `text` as pg_current_snapshot writes it, `upto` behind all it saw.

    >>> Seen("10:14:12", upto=500).includes(11, lsn=400)
    True
    >>> Seen("10:14:12", upto=500).includes(12, lsn=400)
    False
    """

    text: str
    upto: int

    def includes(self, transaction: int, lsn: int) -> bool:
        """Whether the rows showed a transaction, known by its number and its commit's place.

        Numbers come with 32 bits and are compared only with those of their own time: no transaction
        that was seen was committed behind `upto`.
        """
        if lsn >= self.upto:
            return False
        first, end, running = self.text.split(":")
        number = _near(transaction, int(end))
        if number < int(first):
            return True
        return number < int(end) and str(number) not in running.split(",")


def _near(transaction: int, other: int) -> int:
    """The 64 bit number with these last 32 bits that is nearest to `other`."""
    number = (other & ~0xFFFFFFFF) | transaction
    if number > other + _HALF:
        return number - (1 << 32)
    if number < other - _HALF:
        return number + (1 << 32)
    return number
