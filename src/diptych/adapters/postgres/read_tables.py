"""The tables of read models: made, brought to their present shape, emptied and dropped."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import asyncpg

from diptych.adapters.postgres.projections import Known
from diptych.adapters.postgres.row_locks import lock_rows
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
from diptych.queries.fence import check_epoch
from diptych.queries.read_store import TableSpec
from diptych.queries.standings import role_at_birth

__all__ = [
    "SCHEMA_VERSION",
    "drop_tables",
    "look_at_tables",
    "make_store",
    "make_tables",
    "reset_tables",
]

SCHEMA_VERSION = 2
_OWN = ("read_store", "checkpoints", "parked")
_DROP = {"v": "VIEW", "m": "MATERIALIZED VIEW", "S": "SEQUENCE", "i": "INDEX", "f": "FOREIGN TABLE"}


async def make_store(connection: asyncpg.Connection, schema: str) -> str:
    """Make diptych's own tables for read models, or bring them up to date; answers their identity.

    Raises SchemaTooNew, ConfigurationError, driver errors.
    """
    taken = await relations(connection, schema, _OWN)
    if "read_store" not in taken:
        _refuse_taken(schema, taken)
        for name in _OWN:
            await connection.execute(sql(f"create_{name}", schema))
        await connection.execute(sql("insert_read_store", schema), SCHEMA_VERSION)
        identity = literal(f"read models {await connection.fetchval('SELECT gen_random_uuid()')}")
        table = f"{quoted(schema)}.read_store"
        await connection.execute(f"COMMENT ON TABLE {table} IS {identity}")
    elif await _version(connection, schema) == 1:
        _refuse_taken(schema, taken.keys() - {"read_store", "checkpoints"})
        await connection.execute(sql("alter_checkpoints", schema))
        await connection.execute(sql("create_parked", schema))
        await connection.execute(sql("update_read_store", schema), SCHEMA_VERSION)
    made: str = await connection.fetchval(sql("select_identity", schema))
    return made


async def _version(connection: asyncpg.Connection, schema: str) -> int:
    """The schema version that there is. Raises SchemaTooNew for one that we do not know."""
    found: int = await connection.fetchval(sql("select_read_store", schema))
    if found > SCHEMA_VERSION:
        raise SchemaTooNew(
            f"the schema {schema} has read models of schema version {found}, and this diptych "
            f"knows {SCHEMA_VERSION} at most. Upgrade diptych: pip install --upgrade diptych",
            found=found,
            known=SCHEMA_VERSION,
        )
    return found


def _refuse_taken(schema: str, names: Collection[str]) -> None:
    if names:
        raise ConfigurationError(
            f"the schema {schema} has a table {min(names)!r} that is not diptych's. Give read "
            "models a schema of their own: ?schema=..."
        )


async def look_at_tables(
    connection: asyncpg.Connection, schema: str, projections: Sequence[Known]
) -> str:
    """See that a replica has what its primary made; answers its identity, as make_store.

    Raises StoreUnavailable when it has not come so far yet, SchemaTooNew.
    """
    wanted = set(_OWN)
    wanted |= {name for spec, _ in projections for name in _tables_of(spec)}
    missing = wanted - set(await relations(connection, schema, tuple(wanted)))
    if missing:
        raise StoreUnavailable(
            f"the replica has not replayed {', '.join(sorted(missing))} of schema {schema} yet: it "
            "is behind, or a replica of another database."
        )
    await _version(connection, schema)
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
        role = role_at_birth(spec.name)
        await connection.execute(sql("insert_checkpoint", schema), spec.name, role)


async def reset_tables(
    connection: asyncpg.Connection,
    schema: str,
    before: Known,
    now: Known,
    *,
    epoch: int | None,
    patience_s: float,
) -> None:
    """Empty the tables of a projection, make them anew where they have another shape, and forget
    its checkpoint and what is parked.

    A table that has its shape already is only emptied: views on it and grants stay. Raises
    LeaseLost unless its lease has the `epoch`, if one is given.
    """
    name = now.spec.name
    tables = tuple(dict.fromkeys((*_tables_of(before.spec), *_tables_of(now.spec))))
    await lock_rows(connection, schema, name, tables, patience_s)
    check_epoch(name, epoch, await _epoch_of(connection, schema, name))
    await connection.execute(sql("reset_checkpoint", schema), name)
    await connection.execute(sql("reset_parked", schema), name, False)
    await connection.execute(sql("update_parks", schema), name)
    await drop_view(connection, schema, name)
    if now.table is None or before.table is None or not await _emptied(connection, now.table):
        await _drop(connection, schema, tables)
    await make_tables(connection, schema, [now])


async def drop_tables(
    connection: asyncpg.Connection,
    schema: str,
    known: Known,
    *,
    epoch: int | None,
    patience_s: float,
) -> None:
    """Drop the tables of a projection with its checkpoint, its lease and what is parked.

    Raises LeaseLost unless its lease has the `epoch`, if one is given.
    """
    spec, table = known
    tables = _tables_of(spec)
    await lock_rows(connection, schema, spec.name, tables, patience_s)
    actual = await _epoch_of(connection, schema, spec.name)
    if actual is not None:
        check_epoch(spec.name, epoch, actual)
    await connection.execute(sql("delete_checkpoint", schema), spec.name)
    await connection.execute(sql("reset_parked", schema), spec.name, True)
    await drop_view(connection, schema, spec.name)
    if table is not None and not await _is_row_table(connection, table):
        return  # it was never made, or is somebody else's
    await _drop(connection, schema, tables)


async def _epoch_of(connection: asyncpg.Connection, schema: str, name: str) -> int | None:
    """The epoch of a generation's lease; None: it was never opened, or dropped."""
    found = await connection.fetch(sql("select_checkpoints", schema), [name])
    return found[0]["epoch"] if found else None


async def _make_row_table(connection: asyncpg.Connection, table: RowTable) -> None:
    kind = (await relations(connection, table.schema, (table.name,))).get(table.name)
    if kind is None:
        await create_row_table(connection, table)
    elif not await _is_row_table(connection, table):
        raise ConfigurationError(
            f"a projection cannot be called {table.name!r}: the schema {table.schema} has a table "
            "of that name, which holds something else. Choose another name, or another schema."
        )
    table.unfit = await bring_to_shape(connection, table)


async def _is_row_table(connection: asyncpg.Connection, table: RowTable) -> bool:
    kind = (await relations(connection, table.schema, (table.name,))).get(table.name)
    return kind == "r" and "_position" in await columns_in(connection, table)


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
                f"the table {name!r} of schema {schema} cannot be dropped: {error}. "
                f"{error.detail or ''} Drop what depends on it, and make it again afterwards."
            ) from error
