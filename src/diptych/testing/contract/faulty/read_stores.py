"""Read stores that are broken on purpose, each in its own way.

They stand in front of a right store and spoil what passes through. `breaks` names the guarantees
that the suite must find broken.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Sequence
from typing import Any, ClassVar, cast

import msgspec

from diptych.errors import CheckpointMoved, ConfigurationError
from diptych.queries.read_store import (
    Capability,
    Change,
    CheckpointInfo,
    Filter,
    Find,
    InlineRows,
    Loaded,
    ReadStore,
    Row,
    TableSpec,
)

__all__ = ["FAULTY_STORES", "DetachedStore", "SharedStore"]


class SharedStore:
    """No fault at all: another store, which closing this one does not close.

    Several of these share one store in memory as processes share a database; it shows that what the
    suite finds in the others is their own doing.
    """

    breaks: ClassVar[tuple[str, ...]] = ()
    volatile = False

    def __init__(self, inner: ReadStore) -> None:
        self.inner = inner

    def again(self) -> ReadStore:
        """The same data in a new object."""
        return type(self)(self.inner)

    @property
    def capabilities(self) -> frozenset[Capability]:
        """As the store's behind it, like everything that follows."""
        return self.inner.capabilities

    async def open(self, tables: Sequence[TableSpec]) -> None:
        """See ReadStore."""
        await self.inner.open(tables)

    async def load(self, projection: str, keys: Sequence[str]) -> Loaded:
        """See ReadStore."""
        return await self.inner.load(projection, keys)

    async def apply(self, changes: Sequence[Change]) -> None:
        """See ReadStore."""
        await self.inner.apply(changes)

    async def find(self, projection: str, find: Find) -> list[Row]:
        """See ReadStore."""
        return await self.inner.find(projection, find)

    async def count(self, projection: str, filters: tuple[Filter, ...] = ()) -> int:
        """See ReadStore."""
        return await self.inner.count(projection, filters)

    async def select(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
        """See ReadStore."""
        return await self.inner.select(sql, parameters)

    async def checkpoint(self, projection: str) -> CheckpointInfo:
        """See ReadStore."""
        return await self.inner.checkpoint(projection)

    async def reset(self, table: TableSpec) -> None:
        """See ReadStore."""
        await self.inner.reset(table)

    def scratch(self) -> ReadStore:
        """See ReadStore."""
        return self.inner.scratch()

    def within(self, handle: Any) -> InlineRows:
        """See Capability.INLINE."""
        rows: InlineRows = cast("Any", self.inner).within(handle)
        return rows

    async def close(self) -> None:
        """The store behind stays open for others."""


class NoopStore(SharedStore):
    """Agrees to everything and does nothing."""

    breaks = ("G1", "G2", "G3", "G4", "G5", "G6", "G7", "G8")

    async def apply(self, changes: Sequence[Change]) -> None:
        """Agree."""


class LossyStore(SharedStore):
    """Loses every third row."""

    breaks = ("G1", "G4", "G5")

    async def apply(self, changes: Sequence[Change]) -> None:
        """Lose some."""
        await self.inner.apply(
            [
                one._replace(rows=[row for at, row in enumerate(one.rows) if at % 3 != 2])
                for one in changes
            ]
        )


class HalfwayStore(SharedStore):
    """Writes one change after the other."""

    breaks = ("G1",)

    async def apply(self, changes: Sequence[Change]) -> None:
        """Let it fail in the middle."""
        for one in changes:
            await self.inner.apply([one])


class TornStore(SharedStore):
    """Writes rows first and the checkpoint a little later."""

    breaks = ("G1", "G3")

    async def apply(self, changes: Sequence[Change]) -> None:
        """Leave a moment between the two."""
        await self.inner.apply([one._replace(upto=one.after) for one in changes])
        await asyncio.sleep(0)
        await self.inner.apply([Change(one.projection, one.after, one.upto) for one in changes])


class ForgetfulCheckpointStore(SharedStore):
    """Keeps rows and forgets how far they are."""

    breaks = ("G1", "G2", "G3")

    async def apply(self, changes: Sequence[Change]) -> None:
        """Write at whatever checkpoint."""
        await self.inner.apply([one._replace(after=0, upto=0) for one in changes])


class FencelessStore(SharedStore):
    """Never looks at the checkpoint that a change was made for."""

    breaks = ("G1", "G2")

    async def apply(self, changes: Sequence[Change]) -> None:
        """Pass the fence by."""
        await self.inner.apply(
            [
                one._replace(after=(await self.inner.checkpoint(one.projection)).position)
                for one in changes
            ]
        )


class CheckThenActStore(SharedStore):
    """Looks at the checkpoint, and writes when it may have moved."""

    breaks = ("G2",)

    async def apply(self, changes: Sequence[Change]) -> None:
        """Look, wait, write."""
        for one in changes:
            actual = (await self.inner.checkpoint(one.projection)).position
            if one.after != actual:
                facts = {"projection": one.projection, "expected": one.after, "actual": actual}
                raise CheckpointMoved("too late", **facts)
        await asyncio.sleep(0)
        await FencelessStore(self.inner).apply(changes)


class TornReadsStore(SharedStore):
    """Reads rows, and a little later the checkpoint."""

    breaks = ("G3",)

    async def load(self, projection: str, keys: Sequence[str]) -> Loaded:
        """Leave a moment between the two."""
        _, rows = await self.inner.load(projection, keys)
        await asyncio.sleep(0)
        return Loaded((await self.inner.checkpoint(projection)).position, rows)


class FewKeysStore(SharedStore):
    """Looks for as many keys as a statement may have parameters."""

    breaks = ("G3",)

    async def load(self, projection: str, keys: Sequence[str]) -> Loaded:
        """Leave out the rest."""
        return await self.inner.load(projection, keys[:32_766])


class AliasingStore(SharedStore):
    """Hands out the objects that it was given."""

    breaks = ("G4",)

    def __init__(self, inner: ReadStore) -> None:
        super().__init__(inner)
        self._given: dict[tuple[str, str], Any] = {}

    async def apply(self, changes: Sequence[Change]) -> None:
        """Remember objects."""
        await self.inner.apply(changes)
        for one in changes:
            self._given |= {(one.projection, row.key): row.value for row in one.rows}

    async def load(self, projection: str, keys: Sequence[str]) -> Loaded:
        """Hand them out."""
        checkpoint, rows = await self.inner.load(projection, keys)
        return Loaded(
            checkpoint,
            {
                key: row._replace(value=self._handed_out(self._given.get((projection, key))))
                for key, row in rows.items()
            },
        )

    def _handed_out(self, value: Any) -> Any:
        return value


class ShallowStore(AliasingStore):
    """Hands out copies that share lists with each other."""

    def _handed_out(self, value: Any) -> Any:
        return copy.copy(value)


class MergingStore(SharedStore):
    """Merges a row into the one that is there."""

    breaks = ("G4",)

    async def apply(self, changes: Sequence[Change]) -> None:
        """Leave old values where new ones are empty."""
        merged = []
        for one in changes:
            _, old = await self.inner.load(one.projection, [row.key for row in one.rows])
            rows = [_merged(row, old[row.key].value) if row.key in old else row for row in one.rows]
            merged.append(one._replace(rows=rows))
        await self.inner.apply(merged)


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


class StickyStore(SharedStore):
    """Resets the checkpoint and keeps the rows."""

    breaks = ("G6",)

    async def reset(self, table: TableSpec) -> None:
        """Put the rows back."""
        rows = await self.inner.find(table.name, Find())
        await self.inner.reset(table)
        if rows and type(rows[0].value) is getattr(table.shape, "model", None):
            await self.inner.apply([Change(table.name, 0, 0, rows)])


class FlatteringStore(SharedStore):
    """Says of old rows that they are what is wanted now."""

    breaks = ("G6",)

    def __init__(self, inner: ReadStore) -> None:
        super().__init__(inner)
        self._wanted: dict[str, str] = {}

    async def open(self, tables: Sequence[TableSpec]) -> None:
        """Remember what is wanted."""
        self._wanted |= {table.name: table.fingerprint for table in tables}
        await self.inner.open(tables)

    async def checkpoint(self, projection: str) -> CheckpointInfo:
        """Say what is wanted."""
        info = await self.inner.checkpoint(projection)
        return info._replace(fingerprint=self._wanted.get(projection, ""))


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


class CachingStore(SharedStore):
    """Shows what it was given to itself, and never gets to the disk."""

    breaks = ("G2", "G8")

    def again(self) -> ReadStore:
        """Nothing is found by the next."""
        return type(self)(self.inner.scratch())


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


class DetachedStore(SharedStore):
    """Joins a transaction in name only: what it writes stays when the append fails.

    For the suite of inline projections: `breaks` names guarantees of the event log.
    """

    breaks = ("G1", "G8")

    def within(self, handle: Any) -> InlineRows:
        """Take another transaction than the one that was given."""
        return super().within(type(handle)())


def _merged(new: Row, old: Any) -> Row:
    fields = {name: getattr(new.value, name) for name in new.value.__struct_fields__}
    return new._replace(
        value=msgspec.structs.replace(old, **{name: one for name, one in fields.items() if one})
    )


def _text(row: Row) -> str:
    title, text = getattr(row.value, "title", ""), getattr(row.value, "text", "")
    return f"{title} {text or ''}".lower()


FAULTY_STORES: tuple[type[SharedStore], ...] = (
    *(store for store in SharedStore.__subclasses__() if store is not DetachedStore),
    ShallowStore,
)
"""Every faulty store there is, for the suite of read stores."""
