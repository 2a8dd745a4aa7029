"""Read stores that keep something else than they were given, or not at the right time."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Sequence
from typing import Any

import msgspec

from diptych.errors import CheckpointMoved
from diptych.queries.read_store import (
    Change,
    CheckpointInfo,
    Find,
    InlineRows,
    Loaded,
    ReadStore,
    Row,
    TableSpec,
)
from diptych.testing.contract.faulty.shared import SharedStore

__all__ = [
    "AliasingStore",
    "CachingStore",
    "CheckThenActStore",
    "DetachedStore",
    "FencelessStore",
    "FewKeysStore",
    "FlatteringStore",
    "ForgetfulCheckpointStore",
    "HalfwayStore",
    "LossyStore",
    "MergingStore",
    "NoopStore",
    "ShallowStore",
    "StickyStore",
    "TornReadsStore",
    "TornStore",
]


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
                key: row._replace(
                    value=self._handed_out(self._given.get((projection, key), row.value))
                )
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


class StickyStore(SharedStore):
    """Resets the checkpoint and keeps the rows."""

    breaks = ("G6",)

    async def reset(self, table: TableSpec, epoch: int | None = None) -> None:
        """Put the rows back."""
        rows = await self.inner.find(table.name, Find())
        await self.inner.reset(table, epoch)
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


class CachingStore(SharedStore):
    """Shows what it was given to itself, and never gets to the disk."""

    breaks = ("G2", "G8")

    def again(self) -> ReadStore:
        """Nothing is found by the next."""
        return type(self)(self.inner.scratch())


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
