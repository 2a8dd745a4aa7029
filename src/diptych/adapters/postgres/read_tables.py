"""The tables of read models: made, brought to their present shape, emptied and dropped."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from diptych.adapters.postgres.projections import Known
from diptych.adapters.postgres.row_shape import (
    bring_to_shape,
    columns_in,
    create_row_table,
    is_exactly,
    relations,
)
from diptych.adapters.postgres.row_table import RowTable
from diptych.adapters.postgres.statements import literal, quoted, sql
from diptych.adapters.postgres.views import ViewTable, drop_view, make_view
from diptych.errors import ConfigurationError, SchemaTooNew, StoreError, StoreUnavailable
from diptych.queries.read_store import TableSpec

__all__ = ["SCHEMA_VERSION", "look_at_tables", "make_store", "make_tables", "reset_tables"]

SCHEMA_VERSION = 1
_DROP = {"v": "VIEW", "m": "MATERIALIZED VIEW", "S": "SEQUENCE", "i": "INDEX", "f": "FOREIGN TABLE"}


async def make_store(connection: asyncpg.Connection, schema: str) -> str:
    """Make diptych's own tables for read models; answers their identity.

    Raises SchemaTooNew, ConfigurationError, driver errors.
    """
    taken = await relations(connection, schema, ("read_store", "checkpoints"))
    if "read_store" not in taken:
        if taken:
            raise ConfigurationError(
                f"the schema {schema} has a table 'checkpoints' that is not diptych's. Give read "
                "models a schema of their own: ?schema=..."
            )
        await connection.execute(sql("create_read_store", schema))
        await connection.execute(sql("create_checkpoints", schema))
        await connection.execute(sql("insert_read_store", schema), SCHEMA_VERSION)
        identity = literal(f"read models {await connection.fetchval('SELECT gen_random_uuid()')}")
        table = f"{quoted(schema)}.read_store"
        await connection.execute(f"COMMENT ON TABLE {table} IS {identity}")
    found = await connection.fetchval(sql("select_read_store", schema))
    if found > SCHEMA_VERSION:
        raise SchemaTooNew(
            f"the schema {schema} has read models of schema version {found}, and this diptych "
            f"knows {SCHEMA_VERSION} at most. Upgrade diptych: pip install --upgrade diptych",
            found=found,
            known=SCHEMA_VERSION,
        )
    made: str = await connection.fetchval(sql("select_identity", schema))
    return made


async def look_at_tables(
    connection: asyncpg.Connection, schema: str, projections: Sequence[Known]
) -> str:
    """See that a replica has what its primary made; answers its identity, as make_store.

    Raises StoreUnavailable when it has not come so far yet.
    """
    wanted = {"read_store", "checkpoints"}
    wanted |= {name for spec, _ in projections for name in _tables_of(spec)}
    missing = wanted - set(await relations(connection, schema, tuple(wanted)))
    if missing:
        raise StoreUnavailable(
            f"the replica has not replayed {', '.join(sorted(missing))} of schema {schema} yet: it "
            "is behind, or a replica of another database."
        )
    made: str = await connection.fetchval(sql("select_identity", schema))
    return made


async def make_tables(
    connection: asyncpg.Connection, schema: str, projections: Sequence[Known]
) -> None:
    """Make what is missing for these projections; rows stay."""
    for spec, table in projections:
        if table is None:
            await _make_own_tables(connection, schema, spec)
        elif isinstance(table, ViewTable):
            await make_view(connection, table)
        else:
            await drop_view(connection, schema, spec.name)
            await _make_row_table(connection, table)
        await connection.execute(sql("insert_checkpoint", schema), spec.name)


async def reset_tables(
    connection: asyncpg.Connection, schema: str, before: Known, now: Known
) -> None:
    """Empty the tables of a projection, make them anew where they have another shape, and forget
    its checkpoint.

    A table that has its shape already is only emptied: views on it and grants stay.
    """
    await connection.execute(sql("reset_checkpoint", schema), now.spec.name)
    await drop_view(connection, schema, now.spec.name)
    if now.table is None or before.table is None or not await _emptied(connection, now.table):
        names = dict.fromkeys((*_tables_of(before.spec), *_tables_of(now.spec)))
        await _drop(connection, schema, tuple(names))
    await make_tables(connection, schema, [now])


async def _make_row_table(connection: asyncpg.Connection, table: RowTable) -> None:
    kind = (await relations(connection, table.schema, (table.name,))).get(table.name)
    if kind is None:
        await create_row_table(connection, table)
    elif kind != "r" or "_position" not in await columns_in(connection, table):
        raise ConfigurationError(
            f"a projection cannot be called {table.name!r}: the schema {table.schema} has a table "
            "of that name, which holds something else. Choose another name, or another schema."
        )
    table.unfit = await bring_to_shape(connection, table)


async def _emptied(connection: asyncpg.Connection, table: RowTable) -> bool:
    if table.name not in await relations(connection, table.schema, (table.name,)):
        return False
    if not is_exactly(await columns_in(connection, table), table):
        return False
    await connection.execute(f"TRUNCATE {table.qualified}")
    return True


async def _make_own_tables(connection: asyncpg.Connection, schema: str, spec: TableSpec) -> None:
    """Run a projection's own CREATE statements if one of its tables is missing."""
    if len(await relations(connection, schema, spec.tables)) == len(set(spec.tables)):
        return
    for statement in spec.schema:
        try:
            async with connection.transaction():
                await connection.execute(statement)
        except (asyncpg.DuplicateTableError, asyncpg.DuplicateObjectError):
            continue  # some of its tables are there from before; a rebuild makes them anew
        except (asyncpg.SyntaxOrAccessError, asyncpg.DataError) as error:
            if isinstance(error, asyncpg.InsufficientPrivilegeError):
                raise
            raise StoreError(
                f"the projection {spec.name!r} could not run {statement[:200]!r}: {error}"
            ) from error


def _tables_of(spec: TableSpec) -> Sequence[str]:
    if spec.view is not None and spec.view.kept == "query":
        return ()
    return tuple(reversed(spec.tables)) if spec.shape is None else (spec.name,)


async def _drop(connection: asyncpg.Connection, schema: str, names: Sequence[str]) -> None:
    for name in names:
        kind = (await relations(connection, schema, (name,))).get(name)
        if kind is None:
            continue
        try:
            await connection.execute(
                f"DROP {_DROP.get(kind, 'TABLE')} {quoted(schema)}.{quoted(name)}"
            )
        except asyncpg.DependentObjectsStillExistError as error:
            raise StoreError(
                f"the table {name!r} of schema {schema} cannot be made anew: {error}. "
                f"{error.detail or ''} Drop what depends on it, and make it again afterwards."
            ) from error
