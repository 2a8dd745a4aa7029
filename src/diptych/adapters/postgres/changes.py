"""Changes of projections, checked against their checkpoints and written."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter

import asyncpg

from diptych.adapters.postgres.own_sql import run_many
from diptych.adapters.postgres.projections import Prepared, moved
from diptych.adapters.postgres.row_table import Arrays, RowTable
from diptych.adapters.postgres.statements import sql
from diptych.errors import StoreError

__all__ = ["fits_one_statement", "write_changes", "write_fenced"]


def fits_one_statement(changes: Sequence[Prepared]) -> bool:
    """Whether nothing but rows of one projection is to be written.

    Deletions need a statement of their own: one that waited at the fence would not see the rows
    that came while it waited.
    """
    if len(changes) != 1:
        return False
    change, _, _, arrays = changes[0]
    return arrays is not None and not change.deleted and not change.statements


async def write_fenced(connection: asyncpg.Connection, prepared: Prepared) -> bool:
    """Write what fits one statement, in a transaction of its own; False: the checkpoint has moved.

    Raises driver errors, and StoreError naming the row that cannot be kept.
    """
    change, table, fingerprint, arrays = prepared
    assert table is not None  # noqa: S101  see fits_one_statement
    assert arrays is not None  # noqa: S101
    try:
        stood = await connection.fetch(
            table.fenced_upsert, change.after, change.upto, fingerprint, *arrays
        )
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
        raise table.refused(change.rows) or error from error
    return bool(stood)


async def write_changes(
    connection: asyncpg.Connection, schema: str, changes: Sequence[Prepared]
) -> None:
    """Write rows, deletions, statements and checkpoints in the transaction of `connection`.

    Raises CheckpointMoved unless each change begins where its projection stands, driver errors,
    and StoreError naming what cannot be written.
    """
    await _move_checkpoints(connection, schema, changes)
    for change, table, _, arrays in changes:
        if table is not None and arrays is not None:
            await _write_rows(connection, table, change.rows, arrays)
        if table is not None and change.deleted:
            await connection.execute(table.delete, table.possible(change.deleted))
        for statement, group in groupby(change.statements, key=attrgetter("sql")):
            await run_many(
                connection, change.projection, statement, [each.parameters for each in group]
            )


async def _write_rows(
    connection: asyncpg.Connection, table: RowTable, rows: Sequence[object], arrays: Arrays
) -> None:
    try:
        await connection.fetch(table.upsert, *arrays)
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
        said: StoreError | None = table.refused(rows)  # type: ignore[arg-type]
        raise said or error from error


async def _move_checkpoints(
    connection: asyncpg.Connection, schema: str, changes: Sequence[Prepared]
) -> None:
    """Check and move all checkpoints, under their locks; raise CheckpointMoved for the first."""
    first = {each.change.projection: each.change for each in reversed(changes)}
    last = {each.change.projection: each.change.upto for each in changes}
    made_for = {each.change.projection: each.fingerprint for each in changes}
    names = sorted(first)
    stands = dict(
        await connection.fetch(
            sql("move_checkpoints", schema),
            names,
            [first[name].after for name in names],
            [last[name] for name in names],
            [made_for[name] for name in names],
        )
    )
    for name in names:
        if stands.get(name, 0) != first[name].after or name not in stands:
            raise moved(first[name], stands.get(name, 0))
