"""What is parked, on its way into the table `parked` and out of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import apsw
import msgspec

from diptych.adapters.sqlite.statements import ChunkedInsert, sql
from diptych.queries.parked import Parked

__all__ = ["Parking", "entries", "parked_sql"]

_INSERT = ChunkedInsert(
    "INSERT INTO parked (projection, by_stream, key, position, skipped, entry)",
    6,
    "ON CONFLICT (projection, position, key, by_stream) DO UPDATE SET"
    " skipped = excluded.skipped, entry = excluded.entry",
)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Parked).decode


class Parking(NamedTuple):
    """What one change parks and unparks, ready to be written."""

    projection: str
    parked: list[Any]
    unparked: str

    @staticmethod
    def of(projection: str, parked: Sequence[Parked], unparked: Sequence[Parked]) -> Parking:
        """Entries as the values that `write` wants."""
        values: list[Any] = []
        for one in parked:
            skipped = not one.waits
            entry = _encode(one).decode()
            values += (projection, one.by_stream, one.key, one.position, skipped, entry)
        places = [(one.position, one.key, one.by_stream) for one in unparked]
        return Parking(projection, values, _encode(places).decode() if places else "")

    def write(self, connection: apsw.Connection) -> None:
        """Unpark, then park: what a retry unparks may have failed again."""
        if self.unparked:
            connection.execute(sql("delete_unparked"), (self.projection, self.unparked))
        if self.parked:
            _INSERT.run(connection.cursor(), self.parked)


def parked_sql(
    projection: str, keys: Sequence[str] | None, limit: int | None
) -> tuple[str, list[Any]]:
    """SQL that gives entries by position, and its parameters."""
    most = -1 if limit is None else max(limit, 0)
    if keys is None:
        return sql("select_parked"), [projection, most]
    return sql("select_parked_of_keys"), [projection, _encode(keys).decode(), most]


def entries(rows: Sequence[Any]) -> list[Parked]:
    """What running that SQL gave."""
    return [_decode(entry) for (entry,) in rows]
