"""Two generations of one projection side by side: rows, digests, answers."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from diptych.queries.read_store import Find, ReadStore, Row

__all__ = ["GenerationsCompared", "compare_rows", "look_again"]

_PAGE = 1_000


class GenerationsCompared(msgspec.Struct, frozen=True):
    """The rows that are read beside the newly built ones.

    `differing` are the keys whose values differ, or that only one side has; `digests` are SHA-256
    over all keys and values of either, in the order of keys, as they were when they were read.
    `answers` are the queries that the two sides answer differently: query, old answer, new answer.
    With `looks_different` the rows have other fields: they were counted, and not compared.
    """

    old: str
    new: str
    old_rows: int
    new_rows: int
    digests: tuple[str, str]
    differing: tuple[str, ...] = ()
    queries: int = 0
    answers: tuple[tuple[Any, Any, Any], ...] = ()
    looks_different: bool = False

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not (self.differing or self.answers or self.looks_different)

    def with_answers(
        self, queries: int, answers: Sequence[tuple[Any, Any, Any]]
    ) -> GenerationsCompared:
        """The same with the outcome of asking real queries."""
        return msgspec.structs.replace(self, queries=queries, answers=tuple(answers))

    def summary(self) -> str:
        """One line for people."""
        if self.looks_different:
            return (
                f"the rows have other fields, so they were only counted: {self.old_rows} are read, "
                f"{self.new_rows} were built"
            )
        return (
            f"{len(self.differing)} of {max(self.old_rows, self.new_rows)} rows and "
            f"{len(self.answers)} of {self.queries} answers differ"
        )


async def compare_rows(store: ReadStore, old: str, new: str) -> GenerationsCompared:
    """Read both sides once, page by page."""
    sides = (old, new)
    counts = dict.fromkeys(sides, 0)
    hashes = {name: hashlib.sha256() for name in sides}
    differing: list[str] = []
    after: str | None = None
    while True:
        pages = {name: await store.find(name, Find(limit=_PAGE, after_key=after)) for name in sides}
        if not any(pages.values()):
            break
        after = _known_upto(pages.values())
        rows = {name: {r.key: r for r in page if r.key <= after} for name, page in pages.items()}
        for name, found in rows.items():
            counts[name] += len(found)
            for row in found.values():
                hashes[name].update(msgspec.json.encode((row.key, row.value)))
        differing += _differing(rows[old], rows[new])
    digests = (hashes[old].hexdigest(), hashes[new].hexdigest())
    return GenerationsCompared(old, new, counts[old], counts[new], digests, tuple(differing))


async def look_again(
    store: ReadStore, compared: GenerationsCompared, touched: Collection[str]
) -> GenerationsCompared:
    """Look at the differing keys, and at those touched since, now that both sides stand still."""
    left: list[str] = []
    again = sorted({*compared.differing, *touched})
    for start in range(0, len(again), _PAGE):
        keys = again[start : start + _PAGE]
        old = (await store.load(compared.old, keys)).rows
        new = (await store.load(compared.new, keys)).rows
        left += _differing(old, new)
    return msgspec.structs.replace(compared, differing=tuple(left))


def _known_upto(pages: Any) -> str:
    """Up to which key all pages say everything."""
    ends = [page[-1].key for page in pages if len(page) == _PAGE]
    last: str = min(ends) if ends else max(page[-1].key for page in pages if page)
    return last


def _differing(old: dict[str, Row], new: dict[str, Row]) -> list[str]:
    found: list[str] = []
    for key in sorted({*old, *new}):
        one, other = old.get(key), new.get(key)
        if one is None or other is None or one.value != other.value:
            found.append(key)
    return found
