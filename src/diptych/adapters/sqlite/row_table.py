"""The table of one projection with rows by key: its SQL, and rows on their way in and out."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import apsw
import msgspec

from diptych.adapters.sqlite.row_field import RowField, fields_of
from diptych.adapters.sqlite.statements import ChunkedInsert, quoted
from diptych.errors import StoreError
from diptych.queries.read_model import RowShape
from diptych.queries.read_store import Loaded, Row, TableSpec
from diptych.queries.standings import projection_of

__all__ = ["RowTable", "as_json"]

_encode = msgspec.json.Encoder().encode
_key_of = operator.itemgetter(0)
_make_row = partial(tuple.__new__, Row)
_CHECKPOINT = "coalesce((SELECT position FROM checkpoints WHERE projection = ?1), 0)"


class RowTable:
    """One projection's rows, read from `source` (its own table, unless it is a view).

    `checkpoint` is SQL for where it stands, with its name as ?1.

    Rows come out as one JSON text per read: building it costs SQLite no more than handing out the
    rows one by one, msgspec decodes it in one go, and the interpreter changes hands once.
    """

    def __init__(
        self,
        spec: TableSpec,
        shape: RowShape,
        source: str | None = None,
        checkpoint: str = _CHECKPOINT,
    ) -> None:
        self.name = spec.name
        self.shape = shape
        self.fields: dict[str, RowField] = fields_of(shape)
        name = quoted(spec.name)
        source = source or name
        self.select = f"SELECT key, position, row FROM {source}"  # noqa: S608
        self.count = f"SELECT count(*) FROM {source}"  # noqa: S608
        self.load = "SELECT {checkpoint}, ({rows})".format(
            checkpoint=checkpoint,
            rows=as_json(f"{self.select} WHERE key IN (SELECT value FROM json_each(?2))"),  # noqa: S608
        )
        self._delete = f"DELETE FROM {name} WHERE key IN (SELECT value FROM json_each(?))"  # noqa: S608
        self._upsert = ChunkedInsert(
            f"INSERT INTO {name} (key, position, row)",
            3,
            "ON CONFLICT (key) DO UPDATE SET position = excluded.position, row = excluded.row",
        )
        self._decode_all = msgspec.json.Decoder(list[tuple[str, int, shape.model]]).decode  # type: ignore[name-defined]

    def encoded(self, rows: Iterable[Row]) -> list[Any]:
        """Rows as the values that `write` wants, independent of the objects given.

        In the order of keys, which is the order of the table: written in any other, the same pages
        are looked up again and again (measured: three times slower for 5,000 of 20,000 rows).
        """
        values: list[Any] = []
        for key, position, value in sorted(rows, key=_key_of):
            values += (key, position, _encode(value).decode())
        return values

    def write(self, connection: apsw.Connection, encoded: Sequence[Any]) -> None:
        """Insert rows, or replace those that are there."""
        if encoded:
            self._upsert.run(connection.cursor(), encoded)

    def delete(self, connection: apsw.Connection, keys: Sequence[str]) -> None:
        """Delete rows; keys without a row do no harm."""
        if keys:
            connection.execute(self._delete, (_encode(keys).decode(),))

    def load_parameters(self, keys: Sequence[str]) -> tuple[str, str]:
        """What `load` is run with."""
        return self.name, _encode(keys).decode()

    def loaded(self, rows: Sequence[Any]) -> Loaded:
        """What running `load` gave."""
        checkpoint, text = rows[0]
        return Loaded(checkpoint, {row.key: row for row in self.decoded(text)})

    def decoded(self, text: str | None) -> list[Row]:
        """The rows in the JSON text that a read gave."""
        try:
            return list(map(_make_row, self._decode_all(text or "[]")))
        except msgspec.DecodeError as error:
            raise StoreError(
                f"a row of the projection {self.name!r} is no {self.shape.model.__name__} any "
                f"more: {error}. The read model's shape was changed; make its rows anew with "
                f"`diptych projections rebuild {projection_of(self.name)}`."
            ) from error


def as_json(select: str) -> str:
    """A SELECT of one JSON array of the rows (key, position, row) that `select` gives, in order."""
    row = "'[' || json_quote(key) || ',' || position || ',' || row || ']'"
    return f"SELECT '[' || group_concat({row}, ',') || ']' FROM ({select})"  # noqa: S608
