"""Read stores that find the wrong rows, or rows where they should refuse to look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from diptych.errors import ConfigurationError
from diptych.queries.read_store import (
    Change,
    Find,
    ReadStore,
    Row,
)
from diptych.testing.contract.faulty.shared import SharedStore

__all__ = [
    "MiddlesStore",
    "ObligingStore",
    "OldWordsStore",
    "SloppyStore",
    "TextualStore",
    "UncutStore",
    "UndecidedStore",
    "WholeWordsStore",
]


class SloppyStore(SharedStore):
    """Looks at the first filter only."""

    breaks = ("G5",)

    async def find(self, projection: str, find: Find) -> list[Row]:
        """Drop the other filters."""
        return await self.inner.find(projection, find._replace(filters=find.filters[:1]))


class UncutStore(SharedStore):
    """Answers more rows than were asked for."""

    breaks = ("G5",)

    async def find(self, projection: str, find: Find) -> list[Row]:
        """Drop the limit."""
        return await self.inner.find(projection, find._replace(limit=None))


class UndecidedStore(SharedStore):
    """Leaves rows that are equal in any order."""

    breaks = ("G5",)

    async def find(self, projection: str, find: Find) -> list[Row]:
        """Turn ties around."""
        rows = await self.inner.find(projection, find._replace(limit=None))
        if find.order_by is not None:
            field = find.order_by
            groups: dict[Any, list[Row]] = {}
            for row in rows:
                groups.setdefault(getattr(row.value, field), []).insert(0, row)
            rows = [row for group in groups.values() for row in group]
        return rows[: find.limit]


class TextualStore(SharedStore):
    """Orders everything as text: 10 before 9."""

    breaks = ("G5",)

    async def find(self, projection: str, find: Find) -> list[Row]:
        """Order by what JSON makes of the field."""
        rows = await self.inner.find(projection, find._replace(limit=None))
        if find.order_by is not None:
            field = find.order_by
            rows.sort(
                key=lambda row: msgspec.json.encode(getattr(row.value, field)),
                reverse=find.descending,
            )
        return rows[: find.limit]


class WholeWordsStore(SharedStore):
    """Does not find the beginnings of words."""

    breaks = ("G7",)

    async def find(self, projection: str, find: Find) -> list[Row]:
        """Leave out rows without the whole words."""
        rows = await self.inner.find(projection, find)
        wanted = (find.search or "").lower().split()
        return [row for row in rows if all(word in _text(row).split() for word in wanted)]


class MiddlesStore(SharedStore):
    """Finds what stands anywhere in a text."""

    breaks = ("G7",)

    async def find(self, projection: str, find: Find) -> list[Row]:
        """Look for the search as it is."""
        if find.search is None:
            return await self.inner.find(projection, find)
        rows = await self.inner.find(projection, find._replace(search=None, limit=None))
        return [row for row in rows if find.search.lower() in _text(row)][: find.limit]


class OldWordsStore(SharedStore):
    """Finds rows by words that they no longer hold."""

    breaks = ("G7",)

    def __init__(self, inner: ReadStore) -> None:
        super().__init__(inner)
        self._texts: dict[str, str] = {}

    async def apply(self, changes: Sequence[Change]) -> None:
        """Add words, and never take one away."""
        await self.inner.apply(changes)
        for one in changes:
            for row in one.rows:
                self._texts[row.key] = f"{self._texts.get(row.key, '')} {_text(row)}"

    async def find(self, projection: str, find: Find) -> list[Row]:
        """Look at all words there ever were."""
        if not (find.search or "").isalpha():
            return await self.inner.find(projection, find)
        rows = await self.inner.find(projection, find._replace(search=None, limit=None))
        start = (find.search or "").lower()
        return [
            row
            for row in rows
            if any(word.startswith(start) for word in self._texts.get(row.key, "").split())
        ][: find.limit]


class ObligingStore(SharedStore):
    """Answers what it cannot answer with nothing."""

    breaks = ("G9",)

    async def find(self, projection: str, find: Find) -> list[Row]:
        """Find nothing."""
        try:
            return await self.inner.find(projection, find)
        except ConfigurationError:
            return []

    async def select(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
        """Select nothing."""
        return []


def _text(row: Row) -> str:
    title, text = getattr(row.value, "title", ""), getattr(row.value, "text", "")
    return f"{title} {text or ''}".lower()
