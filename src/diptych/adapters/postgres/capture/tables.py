"""The tables that are captured: found, checked, and which mapping each belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg
import msgspec

from diptych.adapters.postgres.capture.statements import sql
from diptych.adapters.postgres.statements import quoted
from diptych.errors import ConfigurationError
from diptych.events.capture import ChangeMapping, RowValues
from diptych.messages.registry import place_of

__all__ = ["CapturedTable", "by_table", "find_tables"]


class CapturedTable(msgspec.Struct, frozen=True):
    """A table by the name that its mapping gives it, by its id, and by its full name as SQL."""

    name: str
    id: int
    full_name: str
    key: tuple[str, ...]
    partitioned: bool = False

    @property
    def source(self) -> str:
        """What to read its rows from: tables that inherit from it are tables of their own."""
        return self.full_name if self.partitioned else f"ONLY {self.full_name}"

    def key_of(self, row: RowValues) -> dict[str, Any]:
        """The primary key's columns of a row, as far as the row has them."""
        return {column: row[column] for column in self.key if column in row}


def by_table(mappings: Iterable[ChangeMapping]) -> dict[str, ChangeMapping]:
    """The mapping of each table.

    Raises ConfigurationError when a table has two, or there is none.
    """
    found: dict[str, ChangeMapping] = {}
    for mapping in mappings:
        if not isinstance(mapping, ChangeMapping):
            raise ConfigurationError(
                f'{place_of(mapping)} is no mapping: put @captures("table") above it.'
            )
        for table in mapping.tables:
            other = found.setdefault(table, mapping)
            if other is not mapping:
                raise ConfigurationError(
                    f"two mappings capture {table}: {place_of(other.function)} and "
                    f"{place_of(mapping.function)}. Keep one; it may answer a list of events."
                )
    if not found:
        raise ConfigurationError(
            'there is nothing to capture: give a mapping, a function under @captures("table").'
        )
    return found


async def find_tables(
    connection: asyncpg.Connection, mappings: dict[str, ChangeMapping], place: str
) -> dict[int, CapturedTable]:
    """The captured tables by id.

    Raises ConfigurationError for a table that is not there, or whose changes could not be told.
    """
    found: dict[int, CapturedTable] = {}
    for row in await connection.fetch(sql("select_tables"), list(mappings)):
        _check(row, old_rows=mappings[row["name"]].old_rows, place=place)
        full_name = f"{quoted(row['schema'])}.{quoted(row['relation'])}"
        table = CapturedTable(
            row["name"], row["id"], full_name, tuple(row["key"]), row["kind"] == "p"
        )
        other = found.setdefault(table.id, table)
        if other is not table:
            raise ConfigurationError(
                f"{other.name} and {table.name} are the same table: name it in one way."
            )
    return found


def _check(row: Any, *, old_rows: bool, place: str) -> None:
    name = row["name"]
    if row["id"] is None:
        raise ConfigurationError(
            f"there is no table {name} in {place}, as this user sees it. Correct the name, put its "
            f'schema in front (@captures("sales.{name}")), or GRANT USAGE on the schema.'
        )
    if row["kind"] not in ("r", "p") or row["persistence"] != "p":
        raise ConfigurationError(
            f"{name} in {place} cannot be captured: only ordinary and partitioned tables can, no "
            "views, and no temporary, unlogged or foreign tables."
        )
    if row["without_identity"]:
        raise ConfigurationError(
            f"updates and deletes of {name} could not be told apart, and PostgreSQL would refuse "
            f"them once the table is captured: there is no primary key. Run {_full(row)} "
            "(or add a primary key), then start again.",
        )
    if old_rows and row["without_old_rows"]:
        raise ConfigurationError(
            f"the mapping of {name} wants whole old rows, which PostgreSQL does not keep for it. "
            f"Run {_full(row, 'without_old_rows')}, then start again."
        )


def _full(row: Any, column: str = "without_identity") -> str:
    tables: Sequence[str] = row[column]
    return "; ".join(f"ALTER TABLE {one} REPLICA IDENTITY FULL" for one in tables)
