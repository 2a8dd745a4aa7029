"""The keys of a read model in portions that fit into memory, the same ones in every process."""

from __future__ import annotations

import zlib
from typing import NamedTuple

__all__ = ["WHOLE", "Portion", "hash_of", "portions_of"]


def hash_of(key: str, seed: int = 0) -> int:
    """A number: everywhere and always the same for a key and a seed."""
    return zlib.crc32(key.encode("utf-8", "surrogatepass"), seed)


class Portion(NamedTuple):
    """The keys whose hash leaves the rest `number` when divided by `of`."""

    number: int
    of: int

    def holds(self, key: str) -> bool:
        """Whether a key is among them."""
        return hash_of(key) % self.of == self.number

    def halves(self) -> tuple[Portion, Portion]:
        """The same keys in two portions."""
        return Portion(self.number, self.of * 2), Portion(self.number + self.of, self.of * 2)


WHOLE = Portion(0, 1)


def portions_of(rows: int, most_rows: int) -> list[Portion]:
    """As many portions as it takes for `rows` rows, if each may have about `most_rows`."""
    of = max(1, -(-rows // most_rows))
    return [Portion(number, of) for number in range(of)]
