"""Rows and checkpoint of one projection in memory."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from diptych.adapters.memory.transaction import Undo
from diptych.errors import ConfigurationError
from diptych.queries.fence import checkpoint_moved
from diptych.queries.matching import check_fields, holds, meets, ordered, words_in
from diptych.queries.read_model import RowShape
from diptych.queries.read_store import Change, Filter, Find, Loaded, Row, TableSpec

__all__ = ["NO_SQL", "Rows"]

NO_SQL = "Use rows by key, or a store with the capability SQL (SQLite, PostgreSQL)."

_encode = msgspec.json.Encoder().encode


class _Kept(NamedTuple):
    """A row as the store keeps it.

    `data` is what copies are made from; `value` is a copy that nobody else ever sees, for filters.
    """

    key: str
    position: int
    data: bytes
    value: Any
    words: tuple[str, ...]


class Rows:
    """One projection's part of a MemoryReadStore. Every method finishes without awaiting."""

    def __init__(self, spec: TableSpec) -> None:
        self.checkpoint = 0
        self.made_for = ""
        self._rows: dict[str, _Kept] = {}
        self._keys: list[str] | None = None
        self.describe(spec)

    def describe(self, spec: TableSpec) -> None:
        """Take over what the projection says of itself; rows and checkpoint stay as they are."""
        self.name = spec.name
        self._fingerprint = spec.fingerprint
        if spec.shape is None:
            if not spec.schema:
                return  # a checkpoint without rows
            raise ConfigurationError(
                f"the projection {spec.name!r} writes its own SQL, and the memory store has none. "
                f"{NO_SQL}"
            )
        self._shape: RowShape = spec.shape
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(spec.shape.model).decode

    # --- writing ---

    def apply(self, change: Change, undo: Undo) -> None:
        """Write one change, having told `undo` how to take it back."""
        self._check(change)
        written = [self._keep(row) for row in change.rows]
        undo.add(self._way_back([*(row.key for row in written), *change.deleted]))
        if change.deleted or any(row.key not in self._rows for row in written):
            self._keys = None
        for row in written:
            self._rows[row.key] = row
        for key in change.deleted:
            self._rows.pop(key, None)
        self.made_for = self.made_for or self._fingerprint
        self.checkpoint = change.upto

    def _check(self, change: Change) -> None:
        if change.statements:
            raise ConfigurationError(
                f"the projection {self.name!r} sent SQL, and the memory store has none. {NO_SQL}"
            )
        if change.after != self.checkpoint:
            raise checkpoint_moved(self.name, change.after, self.checkpoint)

    def _keep(self, row: Row) -> _Kept:
        data = _encode(row.value)
        value = self._decode(data)
        return _Kept(row.key, row.position, data, value, tuple(words_in(value, self._shape)))

    def _way_back(self, keys: Iterable[str]) -> Callable[[], None]:
        before = {key: self._rows.get(key) for key in keys}
        checkpoint, made_for = self.checkpoint, self.made_for

        def take_back() -> None:
            for key, row in before.items():
                if row is None:
                    self._rows.pop(key, None)
                else:
                    self._rows[key] = row
            self._keys, self.checkpoint, self.made_for = None, checkpoint, made_for

        return take_back

    # --- reading ---

    def load(self, keys: Iterable[str]) -> Loaded:
        """Copies of the rows of these keys, and the checkpoint."""
        rows = self._rows
        return Loaded(
            self.checkpoint, {key: self._hand_out(rows[key]) for key in keys if key in rows}
        )

    def find(self, find: Find) -> list[Row]:
        """Copies of the rows that Find asks for."""
        check_fields(self._shape, find)
        found = self._meeting(find.filters, find.search, self._scan(find))
        if find.order_by is not None:
            found = iter(ordered(found, find))
        return [self._hand_out(row) for row in islice(found, find.limit)]

    def count(self, filters: tuple[Filter, ...]) -> int:
        """How many rows meet the filters."""
        check_fields(self._shape, Find(filters))
        return sum(1 for _ in self._meeting(filters, None, iter(self._rows.values())))

    def _hand_out(self, row: _Kept) -> Row:
        return Row(row.key, row.position, self._decode(row.data))

    def _scan(self, find: Find) -> Iterator[_Kept]:
        """Rows in the order of their keys, from where an earlier scan ended."""
        if find.order_by is not None and find.after_key is not None:
            raise ConfigurationError("after_key continues a scan by key: use it without order_by.")
        if self._keys is None:
            self._keys = sorted(self._rows)
        keys: Iterable[str] = self._keys
        if find.order_by is None and find.descending:
            end = (
                len(self._keys)
                if find.after_key is None
                else bisect_left(self._keys, find.after_key)
            )
            keys = reversed(self._keys[:end])
        elif find.after_key is not None:
            keys = islice(self._keys, bisect_right(self._keys, find.after_key), None)
        return (self._rows[key] for key in keys)

    def _meeting(
        self, filters: tuple[Filter, ...], search: str | None, rows: Iterator[_Kept]
    ) -> Iterator[_Kept]:
        for row in rows:
            if all(meets(row.value, one) for one in filters) and (
                search is None or holds(row.words, search)
            ):
                yield row
