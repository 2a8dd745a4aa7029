"""SQL from the files in `sql/`, and inserts of many rows at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import apsw

__all__ = ["ChunkedInsert", "all_rows", "quoted", "sql"]


@cache
def sql(name: str) -> str:
    """The statement in `sql/<name>.sql`, without its header comment."""
    text = (files("diptych.adapters.sqlite") / "sql" / f"{name}.sql").read_text("utf-8")
    return "\n".join(line for line in text.splitlines() if not line.startswith("--")).strip()


def all_rows(
    where: apsw.Connection | apsw.Cursor, statement: str, parameters: Sequence[Any] = ()
) -> list[Any]:
    """Run a statement to its end; rows left unread would keep an old state of the file in use."""
    return where.execute(statement, parameters).fetchall()


def quoted(identifier: str) -> str:
    """A name as SQL wants it, whatever is in it."""
    return '"' + identifier.replace('"', '""') + '"'


class ChunkedInsert:
    """Inserts any number of rows in few statements.

    Every statement gives the interpreter to another thread, and getting it back may take 5 ms while
    the event loop is busy. So rows go in chunks; sizes are powers of two, so that a handful of
    prepared statements serves every number of rows.
    """

    __slots__ = ("_after", "_before", "_columns", "_largest", "_statements")

    def __init__(self, before: str, columns: int, after: str = "", largest: int = 256) -> None:
        self._before = before
        self._after = after
        self._columns = columns
        self._largest = largest
        self._statements: dict[int, str] = {}

    def run(self, cursor: apsw.Cursor, values: Sequence[Any]) -> None:
        """Insert `values`, which hold one row after the other."""
        at, rows = 0, len(values) // self._columns
        while rows:
            chunk = min(self._largest, 1 << (rows.bit_length() - 1))
            end = at + chunk * self._columns
            cursor.execute(
                self._statement(chunk), values if chunk == rows and not at else values[at:end]
            )
            at, rows = end, rows - chunk

    def _statement(self, rows: int) -> str:
        statement = self._statements.get(rows)
        if statement is None:
            row = f"({', '.join('?' * self._columns)})"
            statement = f"{self._before} VALUES {', '.join([row] * rows)} {self._after}"
            self._statements[rows] = statement
        return statement
