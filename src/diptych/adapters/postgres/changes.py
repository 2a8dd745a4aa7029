"""Changes of projections, checked against their checkpoints and written."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter

import asyncpg

from diptych.adapters.postgres.own_sql import run_many
from diptych.adapters.postgres.parked_entries import write_parked
from diptych.adapters.postgres.projections import Prepared, gone
from diptych.adapters.postgres.row_table import Arrays, RowTable
from diptych.adapters.postgres.statements import sql
from diptych.errors import DiptychError, StoreError
from diptych.queries.fence import checkpoint_moved, lease_lost
from diptych.queries.read_store import Change

__all__ = ["fits_one_statement", "raise_unless_fit", "write_changes", "write_fenced"]


def fits_one_statement(changes: Sequence[Prepared]) -> bool:
    """Whether nothing but rows of one projection is to be written.

    Deletions need a statement of their own: one that waited at the fence would not see the rows
    that came while it waited. So does what is parked, which is rare.
    """
    if len(changes) != 1:
        return False
    change, _, _, arrays = changes[0]
    more = change.deleted or change.statements or change.parked or change.unparked
    return arrays is not None and not more


async def write_fenced(connection: asyncpg.Connection, prepared: Prepared) -> bool:
    """Write what fits one statement, in a transaction of its own; False: it may not be written,
    since the checkpoint has moved or the lease was lost.

    Raises driver errors, and StoreError naming the row that cannot be kept.
    """
    change, table, fingerprint, arrays = prepared
    assert table is not None  # noqa: S101  see fits_one_statement
    assert arrays is not None  # noqa: S101
    try:
        stood = await connection.fetch(
            table.fenced_upsert, change.after, change.upto, fingerprint, change.epoch, *arrays
        )
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
        raise table.refused(change.rows) or error from error
    except asyncpg.UndefinedTableError as error:
        await raise_unless_fit(connection, table.schema, change)
        raise gone(table.name, table.schema) from error
    return bool(stood)


def _dropped(change: Change, schema: str) -> DiptychError:
    """What to say of a change to rows that are not there: with them went the lease."""
    if change.epoch is None:
        return gone(change.projection, schema)
    return lease_lost(change.projection, change.epoch, 0)


async def raise_unless_fit(connection: asyncpg.Connection, schema: str, change: Change) -> None:
    """Raise for a change that may not be written: LeaseLost, or else CheckpointMoved.

    Returns where it may be by now: somebody has put the checkpoint back meanwhile (a reset).
    """
    found = await connection.fetch(sql("select_checkpoints", schema), [change.projection])
    if not found:
        raise _dropped(change, schema)
    if change.epoch not in {None, found[0]["epoch"]}:
        raise lease_lost(change.projection, change.epoch, found[0]["epoch"])
    if found[0]["position"] != change.after:
        raise checkpoint_moved(change.projection, change.after, found[0]["position"])


async def write_changes(
    connection: asyncpg.Connection, schema: str, changes: Sequence[Prepared]
) -> None:
    """Write rows, deletions, statements, what is parked and checkpoints in the transaction of
    `connection`.

    Raises LeaseLost and CheckpointMoved unless each change has the epoch of its lease and begins
    where its projection stands, driver errors, and StoreError naming what cannot be written.
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
        if change.parked or change.unparked:
            await write_parked(connection, schema, change)


async def _write_rows(
    connection: asyncpg.Connection, table: RowTable, rows: Sequence[object], arrays: Arrays
) -> None:
    try:
        await connection.fetch(table.upsert, *arrays)
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
        said: StoreError | None = table.refused(rows)  # type: ignore[arg-type]
        raise said or error from error
    except asyncpg.UndefinedTableError as error:
        raise gone(table.name, table.schema) from error


async def _move_checkpoints(
    connection: asyncpg.Connection, schema: str, changes: Sequence[Prepared]
) -> None:
    """Check and move all checkpoints, under their locks; raise for the first that may not."""
    first = {each.change.projection: each.change for each in reversed(changes)}
    last = {each.change.projection: each.change.upto for each in changes}
    made_for = {each.change.projection: each.fingerprint for each in changes}
    names = sorted(first)
    found = await connection.fetch(
        sql("move_checkpoints", schema),
        names,
        [first[name].after for name in names],
        [last[name] for name in names],
        [made_for[name] for name in names],
    )
    stands = {name: (position, epoch) for name, position, epoch in found}
    for change in (each.change for each in changes):
        if change.projection not in stands:
            raise _dropped(change, schema)
        _, epoch = stands[change.projection]
        if change.epoch not in {None, epoch}:
            raise lease_lost(change.projection, change.epoch, epoch)
    for name in names:
        position, _ = stands[name]
        if position != first[name].after:
            raise checkpoint_moved(name, first[name].after, position)
