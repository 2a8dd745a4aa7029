"""Views: rows computed by a user's SELECT, shown with the columns that a row table has.

Everything that reads rows by key then works on them unchanged.
"""

from __future__ import annotations

from hashlib import blake2b

import asyncpg

from diptych.adapters.postgres.row_column import LONGEST_NAME
from diptych.adapters.postgres.row_shape import relations
from diptych.adapters.postgres.row_table import RowTable
from diptych.adapters.postgres.statements import literal, quoted, sql
from diptych.errors import ConfigurationError
from diptych.queries.read_model import RowShape
from diptych.queries.read_store import TableSpec, ViewSpec

__all__ = ["ViewTable", "drop_view", "make_view", "refresh_view"]

_KINDS = {"v": "VIEW", "m": "MATERIALIZED VIEW"}
_WRONG = (asyncpg.SyntaxOrAccessError, asyncpg.DataError)


class ViewTable(RowTable):
    """The rows of a view, to be read like those of a row table, and never written.

    A column has the type that the field's values are kept in, whatever the SELECT gives.
    """

    computed = True

    def __init__(self, schema: str, spec: TableSpec, shape: RowShape, view: ViewSpec) -> None:
        self.view = view
        self.spec = spec
        super().__init__(schema, spec, shape)

    def definition(self) -> str:
        """The SELECT of the view. Raises ConfigurationError when there is none for PostgreSQL."""
        given = self.view.sql
        own = given if isinstance(given, str) else given.get("postgresql")
        if own is None:
            raise ConfigurationError(
                f"the view {self.name} has no SELECT for PostgreSQL: "
                "sql = {'postgresql': 'SELECT ...'}."
            )
        shown = ["0::bigint AS _position", *(["NULL::text AS _naive"] if self.marks_zones else [])]
        for column in self.columns:
            collate = ' COLLATE "C"' if column.kind.type == "text" else ""
            value = f"shown.{quoted(column.field)}::{column.kind.type}{collate}"
            shown.append(f"{value} AS {quoted(column.name)}")
        return f"SELECT {', '.join(shown)} FROM ({own.strip().rstrip(';')}) AS shown"  # noqa: S608

    def _source(self) -> str:
        return f"({self.definition()})" if self.view.kept == "query" else self.qualified

    def _checkpoint(self) -> str:
        if self.view.kept == "materialized":
            return super()._checkpoint()
        return sql("select_head", self.schema)


async def make_view(connection: asyncpg.Connection, table: ViewTable) -> None:
    """Make the view anew if it has changed, and see that its SELECT gives what it must.

    Raises ConfigurationError when it cannot be run, a field has no column, or the name is taken.
    """
    definition = table.definition()
    kept = table.view.kept
    fingerprint = f"diptych {kept} {blake2b(definition.encode(), digest_size=8).hexdigest()}"
    here = await connection.fetchval(sql("select_comment", table.schema), table.name)
    if kept != "query" and here == fingerprint:
        return
    await drop_view(connection, table.schema, table.name)
    try:
        async with connection.transaction():
            if kept == "query":
                await connection.execute(f"{definition} LIMIT 0")
            elif kept == "view":
                await connection.execute(f"CREATE VIEW {table.qualified} AS {definition}")
            else:
                await _materialize(connection, table, definition)
            if kept != "query":
                await connection.execute(
                    f"COMMENT ON {'VIEW' if kept == 'view' else 'MATERIALIZED VIEW'} "
                    f"{table.qualified} IS {literal(fingerprint)}"
                )
    except _WRONG as error:
        if isinstance(error, asyncpg.InsufficientPrivilegeError):
            raise
        raise ConfigurationError(
            f"the view {table.name} cannot be made: {error}. Its SELECT needs a column for every "
            f"field of {table.shape.model.__name__}, and its tables must be there before it."
        ) from error


async def refresh_view(connection: asyncpg.Connection, table: ViewTable) -> int:
    """Compute a materialized view anew in the present transaction; its new checkpoint.

    Readers go on reading the old rows until it commits. Two refreshes wait for each other.
    """
    # Read before the SELECT looks: it sees at least all of this.
    head: int = await connection.fetchval(sql("select_head", table.schema))
    # The user's SELECT may scan what it likes.
    await connection.execute("SET LOCAL enable_seqscan = on")
    await connection.execute(f"REFRESH MATERIALIZED VIEW CONCURRENTLY {table.qualified}")
    await connection.execute(
        sql("upsert_checkpoint", table.schema), table.name, head, table.spec.fingerprint
    )
    return head


async def drop_view(connection: asyncpg.Connection, schema: str, name: str) -> None:
    """Drop the view of this name, if it is one that `make_view` has made."""
    kind = (await relations(connection, schema, (name,))).get(name)
    comment = await connection.fetchval(sql("select_comment", schema), name)
    if kind in _KINDS and (comment or "").startswith("diptych "):
        await connection.execute(f"DROP {_KINDS[kind]} {quoted(schema)}.{quoted(name)}")


async def _materialize(connection: asyncpg.Connection, table: ViewTable, definition: str) -> None:
    await connection.execute("SET LOCAL enable_seqscan = on")
    head: int = await connection.fetchval(sql("select_head", table.schema))
    await connection.execute(f"CREATE MATERIALIZED VIEW {table.qualified} AS {definition}")
    # Without a unique index a refresh would lock readers out.
    await connection.execute(f"CREATE UNIQUE INDEX ON {table.qualified} ({table.key})")
    for field in dict.fromkeys(table.shape.indexes):
        column = table.column[field]
        if field != table.shape.key and len(column.name.encode()) <= LONGEST_NAME:
            await connection.execute(f"CREATE INDEX ON {table.qualified} ({quoted(column.name)})")
    await connection.execute(
        sql("upsert_checkpoint", table.schema), table.name, head, table.spec.fingerprint
    )
