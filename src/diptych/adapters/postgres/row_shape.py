"""The table of a read model, made and brought to the shape that the read model has now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import asyncpg

from diptych.adapters.postgres.row_column import LONGEST_NAME, RowColumn
from diptych.adapters.postgres.row_table import RowTable
from diptych.adapters.postgres.statements import literal, quoted, sql
from diptych.errors import StoreError

__all__ = [
    "OTHER_COLUMNS",
    "bring_to_shape",
    "columns_in",
    "create_row_table",
    "is_exactly",
    "relations",
    "unfit_because",
]

OTHER_COLUMNS = (asyncpg.DataError, asyncpg.SyntaxOrAccessError)
"""What the server raises for a statement whose table has become another one meanwhile."""

_REFILL = 1_000
_LONG_FORMS = {
    "timestamptz": "timestamp with time zone",
    "timestamp": "timestamp without time zone",
}
_LONG_FORMS |= {"timetz": "time with time zone", "time": "time without time zone"}


async def relations(
    connection: asyncpg.Connection, schema: str, names: Sequence[str]
) -> dict[str, str]:
    """What the schema holds under these names: kinds as in pg_class."""
    return dict(await connection.fetch(sql("select_relations", schema), names))


async def columns_in(connection: asyncpg.Connection, table: RowTable) -> dict[str, Any]:
    """The columns that a table has, by name; see select_columns.sql."""
    found = await connection.fetch(sql("select_columns", table.schema), table.name)
    return {record["name"]: record for record in found}


async def create_row_table(connection: asyncpg.Connection, table: RowTable) -> None:
    """Make the table. Room is left in its pages, where a changed row finds place beside itself."""
    columns = ["_position bigint NOT NULL"]
    columns += [f"{quoted(column.name)} {column.definition}" for column in table.columns]
    await connection.execute(
        f"CREATE TABLE {table.qualified} ({', '.join(columns)}, PRIMARY KEY ({table.key})) "
        "WITH (fillfactor = 90)"
    )


def is_exactly(columns: Mapping[str, Any], table: RowTable) -> bool:
    """Whether a table has the columns of the read model, and no others."""
    wanted = {column.name for column in table.columns} | {"_position"}
    return wanted == set(columns) - {"_naive", "_words"} and all(
        _same_type(columns[column.name], column)
        and columns[column.name]["filled"] is not column.nullable
        and columns[column.name]["is_key"] is (column.field == table.shape.key)
        for column in table.columns
    )


def unfit_because(columns: Mapping[str, Any], table: RowTable) -> str | None:
    """Why rows cannot be read as the read model that there is now; None if they can."""
    for column in table.columns:
        existing = columns.get(column.name)
        if existing is None:
            if column.default is None:
                return f"rows have no field {column.field!r}"
        elif not _same_type(existing, column):
            return f"{column.field!r} is kept as {existing['type']}, not as {column.kind.type}"
        elif existing["is_key"] is not (column.field == table.shape.key):
            return "rows have another key"
    return None


async def bring_to_shape(connection: asyncpg.Connection, table: RowTable) -> str | None:
    """Add columns, indexes and words that are missing, and take away those that are not wanted.

    Rows are kept. Where they do not fit any more nothing is done, so that a process with the read
    model they were made for goes on; answers why they do not.
    """
    columns = await columns_in(connection, table)
    unfit = unfit_because(columns, table) or await _nulls(connection, table, columns)
    if unfit is not None:
        if await connection.fetchval(f"SELECT EXISTS (SELECT FROM {table.qualified})"):  # noqa: S608
            return unfit
        await connection.execute(f"DROP TABLE {table.qualified}")
        await create_row_table(connection, table)
        columns = await columns_in(connection, table)
    await _bring_columns(connection, table, columns)
    try:
        await _bring_words(connection, table, columns.get("_words"))
    except StoreError as error:
        return str(error)
    await _bring_indexes(connection, table)
    return None


async def _nulls(
    connection: asyncpg.Connection, table: RowTable, columns: Mapping[str, Any]
) -> str | None:
    for column in table.columns:
        existing = columns.get(column.name)
        if existing is None or existing["filled"] or column.nullable:
            continue
        missing = (
            f"SELECT EXISTS (SELECT FROM {table.qualified} WHERE {quoted(column.name)} IS NULL)"  # noqa: S608
        )
        if await connection.fetchval(missing):
            return f"there are rows without a value for {column.field!r}"
    return None


async def _bring_columns(
    connection: asyncpg.Connection, table: RowTable, columns: Mapping[str, Any]
) -> None:
    changes: list[str] = []
    for column in table.columns:
        name, existing = quoted(column.name), columns.get(column.name)
        if existing is None:
            default = await _default(connection, column)
            changes.append(f"ADD COLUMN {name} {column.definition} DEFAULT {default}")
        elif existing["filled"] is column.nullable:
            changes.append(f"ALTER COLUMN {name} {'DROP' if column.nullable else 'SET'} NOT NULL")
    own = {column.name for column in table.columns} | {"_position", "_naive", "_words"}
    # A field that is gone may be back tomorrow, or still be there for another process.
    changes += [
        f"ALTER COLUMN {quoted(name)} DROP NOT NULL"
        for name, existing in columns.items()
        if name not in own and existing["filled"]
    ]
    if table.marks_zones and "_naive" not in columns:
        changes.append("ADD COLUMN _naive text")
    if changes:
        await connection.execute(f"ALTER TABLE {table.qualified} {', '.join(changes)}")


async def _default(connection: asyncpg.Connection, column: RowColumn) -> str:
    """The value that older rows have in a new column, as SQL."""
    assert column.default is not None  # noqa: S101  else the rows are unfit
    (value,) = column.kind.kept([column.default()])
    as_sql = f"SELECT quote_nullable($1::{column.kind.parameter}::{column.kind.type}::text)"
    text: str = await connection.fetchval(as_sql, value)
    return text


async def _bring_words(connection: asyncpg.Connection, table: RowTable, existing: Any) -> None:
    if not table.shape.search:
        if existing is not None and existing["note"] is not None:
            # The column stays for a process that still searches; nobody says that it is complete.
            await connection.execute(f"COMMENT ON COLUMN {table.qualified}._words IS NULL")
        return
    note = f"words of {', '.join(table.shape.search)}"
    if existing is not None and existing["note"] == note:
        return
    if existing is None:
        await connection.execute(f"ALTER TABLE {table.qualified} ADD COLUMN _words tsvector")
    await _refill_words(connection, table)
    column = f"{table.qualified}._words"
    await connection.execute(f"COMMENT ON COLUMN {column} IS {literal(note)}")


async def _refill_words(connection: asyncpg.Connection, table: RowTable) -> None:
    page = f"{table.select} WHERE {table.key} > $1 ORDER BY {table.key} LIMIT {_REFILL}"
    first = f"{table.select} ORDER BY {table.key} LIMIT {_REFILL}"
    fill = (
        f"UPDATE {table.qualified} AS t SET _words = array_to_tsvector(string_to_array(u.w, ' ')) "  # noqa: S608
        f"FROM unnest($1::text[], $2::text[]) AS u (k, w) WHERE t.{table.key} = u.k"
    )
    records = await connection.fetch(first)
    while records:
        rows = table.decoded(records)
        keys = [row.key for row in rows]
        await connection.execute(fill, keys, [table.words(row.value) for row in rows])
        records = await connection.fetch(page, keys[-1])


async def _bring_indexes(connection: asyncpg.Connection, table: RowTable) -> None:
    wanted: dict[str, str] = {}
    for field in dict.fromkeys(table.shape.indexes):
        column = table.column[field]
        if field != table.shape.key and column.kind.bound is not None:
            wanted[_index_name(table.name, field)] = f"({quoted(column.name)}, {table.key})"
    if table.shape.search:
        wanted[_index_name(table.name, "words")] = "USING gin (_words)"
    found = await connection.fetch(sql("select_indexes", table.schema), table.name)
    existing = {record["name"] for record in found}
    for name in existing - wanted.keys():
        await connection.execute(f"DROP INDEX {quoted(table.schema)}.{quoted(name)}")
    for name, columns in wanted.items():
        if name not in existing:
            await connection.execute(f"CREATE INDEX {quoted(name)} ON {table.qualified} {columns}")
            index = f"{quoted(table.schema)}.{quoted(name)}"
            await connection.execute(f"COMMENT ON INDEX {index} IS 'made by diptych'")


def _index_name(table: str, field: str) -> str:
    name = f"{table}_by_{field}"
    if len(name.encode()) <= LONGEST_NAME:
        return name
    start = name.encode()[: LONGEST_NAME - 17].decode(errors="ignore")
    return f"{start}_{blake2b(name.encode(), digest_size=8).hexdigest()}"


def _same_type(existing: Any, column: RowColumn) -> bool:
    wanted = column.kind.type
    return bool(existing["type"] == _LONG_FORMS.get(wanted, wanted))
