"""Bugs of read stores: rows and checkpoints that do not commit together."""

from __future__ import annotations

from tests.mutation.bug import Patch, bug
from tests.mutation.patching import all_of, replaced, rewritten

from diptych.adapters.memory.rows import Rows
from diptych.adapters.postgres.changes import _move_checkpoints
from diptych.adapters.postgres.read_store import PostgresReadStore
from diptych.adapters.postgres.row_table import RowTable
from diptych.adapters.sqlite.changes import check_changes
from diptych.adapters.sqlite.read_store import SqliteReadStore

__all__: list[str] = []

MEMORY = "tests/contract/test_memory_read_store.py::TestMemoryReadStore::"
SQLITE = "tests/contract/test_sqlite_read_store.py::TestSqliteReadStore::"
POSTGRES = "tests/contract/test_postgres_read_store.py::TestPostgresReadStore::"

APART = "eventsource-py 0.15.1 (no issue: 250 of 9,000 counted twice after kill -9)"
APART_WAS = (
    "Rows and checkpoint are not one transaction: rows stay where the checkpoint was refused"
)


@bug(
    APART,
    f"{APART_WAS} (memory)",
    [MEMORY + "test_g1_one_stale_change_keeps_all_from_being_written"],
    fast=False,
)
def checkpoint_outside_the_transaction_in_memory() -> Patch:
    return rewritten(
        Rows.apply,
        ("    self._check(change)\n", ""),
        ("    self.made_for = ", "    self._check(change)\n    self.made_for = "),
        ("    undo.add(self._way_back([*(row.key for row in written), *change.deleted]))\n", ""),
    )


@bug(
    APART,
    f"{APART_WAS} (SQLite)",
    [SQLITE + "test_g1_one_stale_change_keeps_all_from_being_written"],
)
def checkpoint_outside_the_transaction_in_sqlite() -> Patch:
    return rewritten(
        SqliteReadStore.apply,
        (
            "    await database.write(\n",
            (
                "    for each in prepared:\n"
                "        if each.table is not None:\n"
                "            await database.write(\n"
                "                lambda connection, it=each: it.table.write(connection, it.rows)\n"
                "            )\n"
                "    await database.write(\n"
            ),
        ),
    )


@bug(
    APART,
    f"{APART_WAS} (PostgreSQL)",
    [POSTGRES + "test_g1_one_stale_change_keeps_all_from_being_written"],
)
def checkpoint_outside_the_transaction_in_postgres() -> Patch:
    return rewritten(
        PostgresReadStore.apply,
        (
            "    if fits_one_statement(prepared):\n",
            (
                "    for each in prepared:\n"
                "        if each.table is not None and each.arrays is not None:\n"
                "            async with database.transaction() as connection:\n"
                "                await connection.fetch(each.table.upsert, *each.arrays)\n"
                "    if fits_one_statement(prepared):\n"
            ),
        ),
    )


BEHIND = "Axon #422; cqrs-es #143"
BEHIND_WAS = (
    "A change is written wherever its projection stands: what another runner wrote is overwritten"
)


@bug(
    BEHIND,
    f"{BEHIND_WAS} (memory)",
    [MEMORY + "test_g2_a_change_fits_only_its_checkpoint"],
    fast=False,
)
def checkpoint_not_compared_in_memory() -> Patch:
    return rewritten(Rows._check, ("if change.after != self.checkpoint:", "if False:"))


@bug(
    BEHIND,
    f"{BEHIND_WAS} (SQLite)",
    [SQLITE + "test_g2_a_change_fits_only_its_checkpoint"],
    fast=False,
)
def checkpoint_not_compared_in_sqlite() -> Patch:
    return rewritten(check_changes, ("if after != actual:", "if False:"))


@bug(BEHIND, f"{BEHIND_WAS} (PostgreSQL)", [POSTGRES + "test_g2_a_change_fits_only_its_checkpoint"])
def checkpoint_not_compared_in_postgres() -> Patch:
    return all_of(
        rewritten(_move_checkpoints, ("if position != first[name].after:", "if False:")),
        rewritten(
            RowTable._fenced_upsert,
            ("AND c.position = $1::bigint", "AND c.position = coalesce(c.position, $1::bigint)"),
        ),
    )


@bug(
    "Marten, as told in jasoneisen/idiomatic-critter-stack #25",
    "A runner does not notice that somebody else has begun to rebuild: it goes on from where it "
    "was, and what was reset is never folded again",
    [SQLITE + "test_g2_a_change_fits_only_its_checkpoint"],
)
def rebuild_by_another_not_noticed() -> Patch:
    return rewritten(check_changes, ("if after != actual:", "if after < actual:"))


@bug(
    "Marten #4953",
    "Rows and checkpoint are read by two statements that see two moments",
    [SQLITE + "test_g3_rows_and_checkpoint_are_of_one_moment"],
)
def rows_and_checkpoint_of_two_moments() -> Patch:
    real = SqliteReadStore.load

    async def load(self, projection, keys):
        checkpoint = (await self.checkpoint(projection)).position
        import asyncio

        await asyncio.sleep(0.002)
        return (await real(self, projection, keys))._replace(checkpoint=checkpoint)

    return replaced(SqliteReadStore, "load", load)
