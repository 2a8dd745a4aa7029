"""The messages of pgoutput, protocol version 1: bytes to tuples, nothing else.

The format is that of PostgreSQL's manual, chapter "Logical Replication Message Formats".
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple, NoReturn

from diptych.errors import StoreError

__all__ = [
    "UNCHANGED",
    "Begin",
    "Column",
    "Commit",
    "Delete",
    "Insert",
    "Message",
    "Relation",
    "Skipped",
    "Truncate",
    "Tuple",
    "Unchanged",
    "Update",
    "decode",
]


class Unchanged:
    """Stands for a large value that was not sent because it did not change."""


UNCHANGED = Unchanged()

Tuple = list[str | Unchanged | None]
"""The values of a row in the order of its relation's columns, as text; None is NULL."""


class Begin(NamedTuple):
    """A transaction that was committed: where, when (microseconds since 2000), and its number."""

    lsn: int
    committed_us: int
    transaction: int


class Commit(NamedTuple):
    """The end of a transaction; `end_lsn` lies just behind it."""

    lsn: int
    end_lsn: int


class Column(NamedTuple):
    """A column of a relation; `in_key`: part of its replica identity."""

    name: str
    type: int
    in_key: bool


class Relation(NamedTuple):
    """A table as the next changes of it were made; sent again after each change of its shape."""

    id: int
    schema: str
    name: str
    identity: str
    columns: tuple[Column, ...]


class Insert(NamedTuple):
    """A new row."""

    relation: int
    new: Tuple


class Update(NamedTuple):
    """A changed row; `old` holds the old key (`whole` False), the old row, or is None."""

    relation: int
    old: Tuple | None
    whole: bool
    new: Tuple


class Delete(NamedTuple):
    """A row that is gone; `old` as in Update."""

    relation: int
    old: Tuple
    whole: bool


class Truncate(NamedTuple):
    """Tables that were emptied."""

    relations: tuple[int, ...]


class Skipped(NamedTuple):
    """A message that carries no change: Type, Origin or Message."""

    kind: str


Message = Begin | Commit | Relation | Insert | Update | Delete | Truncate | Skipped


class _Bytes:
    """Reads one message from left to right."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        end = self._at + size
        if size < 0 or end > len(self._data):
            raise ValueError(f"it ends after {len(self._data)} bytes, {end} were announced")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def numbers(self, layout: struct.Struct) -> tuple[int, ...]:
        return layout.unpack(self.take(layout.size))

    def int16(self) -> int:
        return self.numbers(_INT16)[0]

    def int32(self) -> int:
        return self.numbers(_UINT32)[0]

    def letter(self) -> str:
        return self.take(1).decode("ascii")

    def text(self) -> str:
        end = self._data.find(b"\0", self._at)
        if end < 0:
            raise ValueError("a name in it has no end")
        taken = self.take(end - self._at)
        self._at = end + 1
        return taken.decode()

    def tuple(self) -> Tuple:
        return [self._value() for _ in range(self.int16())]

    def _value(self) -> str | Unchanged | None:
        kind = self.letter()
        if kind == "n":
            return None
        if kind == "u":
            return UNCHANGED
        if kind == "t":
            return self.take(self.int32()).decode()
        raise ValueError(f"it holds a value of the unknown kind {kind!r}")

    def finish(self) -> None:
        if self._at != len(self._data):
            raise ValueError(f"{len(self._data) - self._at} bytes are left over")


_INT16 = struct.Struct(">H")
_UINT32 = struct.Struct(">I")
_BEGIN = struct.Struct(">QqI")
_COMMIT = struct.Struct(">BQQq")
_COLUMN_TYPE = struct.Struct(">Ii")


def _begin(data: _Bytes) -> Begin:
    return Begin(*data.numbers(_BEGIN))


def _commit(data: _Bytes) -> Commit:
    _, lsn, end_lsn, _ = data.numbers(_COMMIT)
    return Commit(lsn, end_lsn)


def _relation(data: _Bytes) -> Relation:
    number, schema, name = data.int32(), data.text(), data.text()
    identity = data.letter()
    columns = []
    for _ in range(data.int16()):
        in_key = bool(data.take(1)[0] & 1)
        column = data.text()
        columns.append(Column(column, data.numbers(_COLUMN_TYPE)[0], in_key))
    return Relation(number, schema, name, identity, tuple(columns))


def _insert(data: _Bytes) -> Insert:
    relation = data.int32()
    _expect(data.letter(), "N")
    return Insert(relation, data.tuple())


def _update(data: _Bytes) -> Update:
    relation, kind = data.int32(), data.letter()
    if kind == "N":
        return Update(relation, None, whole=False, new=data.tuple())
    _expect(kind, "KO")
    old = data.tuple()
    _expect(data.letter(), "N")
    return Update(relation, old, kind == "O", data.tuple())


def _delete(data: _Bytes) -> Delete:
    relation, kind = data.int32(), data.letter()
    _expect(kind, "KO")
    return Delete(relation, data.tuple(), kind == "O")


def _truncate(data: _Bytes) -> Truncate:
    count = data.int32()
    data.take(1)  # whether CASCADE and RESTART IDENTITY were said
    return Truncate(tuple(data.int32() for _ in range(count)))


def _unknown(_: _Bytes) -> NoReturn:
    raise ValueError("its kind is unknown")


def _expect(kind: str, among: str) -> None:
    if kind not in among:
        raise ValueError(f"it holds a row of the unknown kind {kind!r}")


_KINDS: dict[str, Callable[[_Bytes], Message]] = {
    "B": _begin,
    "C": _commit,
    "R": _relation,
    "I": _insert,
    "U": _update,
    "D": _delete,
    "T": _truncate,
}
_WITHOUT_CHANGE = ("Y", "O", "M")


def decode(data: bytes) -> Message:
    """The message in `data`. Raises StoreError for one that is damaged or not known."""
    try:
        rest = _Bytes(data)
        kind = rest.letter()
        if kind in _WITHOUT_CHANGE:
            return Skipped(kind)
        message = _KINDS.get(kind, _unknown)(rest)
        rest.finish()
    except (ValueError, struct.error) as error:
        raise StoreError(
            f"the server sent a message of pgoutput that cannot be read: {error}. Nothing was "
            "skipped; is the server of a newer version than this diptych knows?"
        ) from error
    return message
