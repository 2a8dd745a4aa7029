"""The rows that were there when a capture began, read in one moment and without locks.

The slot is made first and the moment comes later; the changes between the two are in both. They are
told apart exactly: a transaction that the moment saw is left out when the slot tells of it.

Rows are read with COPY because it writes values as pgoutput does: one way from text to Python.
"""

from __future__ import annotations

import re
from typing import Any

import asyncpg

from diptych.adapters.postgres.capture.chain import Chain, Link, Place
from diptych.adapters.postgres.capture.mapped import Mapped, Streamed
from diptych.adapters.postgres.capture.record import Records
from diptych.adapters.postgres.capture.seen import Seen
from diptych.adapters.postgres.capture.statements import sql
from diptych.adapters.postgres.capture.tables import CapturedTable
from diptych.adapters.postgres.capture.transactions import lsn_text
from diptych.adapters.postgres.capture.values import value_of
from diptych.adapters.postgres.statements import quoted
from diptych.events.capture import RowChange, RowValues

__all__ = ["RowsAtTheBeginning", "fields_of"]

_ROWS = 1_000
_BYTES = 8 * 1024 * 1024
"""After how many rows, or bytes of them, an append is made."""

_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class RowsAtTheBeginning:
    """Tells every row of the tables as a change `snapshot`, through a connection of its own.

    When it is interrupted it is done again from the first row: the log then holds some rows twice,
    the later telling being the newer one. No change after the first moment is left out.
    """

    def __init__(self, connection: asyncpg.Connection, chain: Chain, mapped: Mapped) -> None:
        self._connection = connection
        self._chain = chain
        self._mapped = mapped
        self._events: Streamed = {}
        self._first: Place | None = None

    async def tell(self, tables: list[CapturedTable], records: Records) -> None:
        """Append all rows. Raises CaptureFailed, and as EventLog.append."""
        async with self._connection.transaction(isolation="repeatable_read", readonly=True):
            moment = await self._connection.fetchrow(sql("select_moment"))
            await records.saw(Seen(moment["seen"], moment["upto"]))
            for table in tables:
                await self._tell(table, moment)

    async def _tell(self, table: CapturedTable, moment: Any) -> None:
        columns = await self._connection.fetch(sql("select_columns"), table.id)
        rest = b""
        number = size = 0

        async def take(chunk: bytes) -> None:
            nonlocal rest, number, size
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                await self._add(_change(table, columns, line, moment, number))
                place = Place(table.id, number)
                self._first = self._first or place
                number, size = number + 1, size + len(line)
                if number % _ROWS == 0 or size >= _BYTES:
                    await self._append(place)
                    size = 0

        names = ", ".join(quoted(column["name"]) for column in columns)
        rows = f"SELECT {names} FROM {table.source}"  # noqa: S608  names are quoted
        await self._connection.copy_from_query(rows, output=take)
        await self._append(Place(table.id, number - 1))

    async def _add(self, change: RowChange) -> None:
        # Rows of one moment have no order, so a stream may come again.
        for stream, events in (await self._mapped.streamed([change])).items():
            self._events.setdefault(stream, []).extend(events)

    async def _append(self, last: Place) -> None:
        first, self._first = self._first, None
        events, self._events = self._events, {}
        if first is not None:
            await self._chain.append(first, Link(last), events)


def _change(
    table: CapturedTable, columns: list[Any], line: bytes, moment: Any, number: int
) -> RowChange:
    values = RowValues(
        {
            column["name"]: None if text is None else value_of(column["type"], text)
            for column, text in zip(columns, fields_of(line), strict=True)
        }
    )
    return RowChange(
        table.name,
        "snapshot",
        None,
        values,
        table.key_of(values),
        0,
        lsn_text(moment["upto"]),
        moment["at"],
        number,
    )


def fields_of(line: bytes) -> list[str | None]:
    """The values in a line of COPY's text format; None is NULL."""
    return [
        None if field == "\\N" else _ESCAPE.sub(_unescaped, field)
        for field in line.decode().split("\t")
    ]


def _unescaped(found: re.Match[str]) -> str:
    return _ESCAPES.get(found[1], found[1])
