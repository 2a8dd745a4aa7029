"""The publication and the slot: made, checked, dropped."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import asyncpg

from diptych.adapters.postgres.capture.statements import sql
from diptych.adapters.postgres.capture.tables import CapturedTable
from diptych.adapters.postgres.statements import quoted
from diptych.errors import ConfigurationError

__all__ = ["check_server", "make_publication", "make_slot"]

_OLDEST = 140_000


async def check_server(
    connection: asyncpg.Connection, place: str, *, allow_unlimited_wal: bool
) -> None:
    """Raise ConfigurationError when the server is not made for capturing, with what to run."""
    found = await connection.fetchrow(sql("select_settings"))
    if found["version"] < _OLDEST:
        raise ConfigurationError(
            f"{place} is PostgreSQL {found['version_text']}; capturing needs 14 or newer."
        )
    if found["in_recovery"]:
        raise ConfigurationError(f"{place} is a replica: capture from the primary.")
    if found["wal_level"] != "logical":
        raise ConfigurationError(
            f"{place} has wal_level = {found['wal_level']}, which does not tell of rows. Run ALTER "
            "SYSTEM SET wal_level = 'logical' and restart the server."
        )
    if not found["may_replicate"]:
        raise ConfigurationError(
            f"this user may not make a replication slot at {place}. Run ALTER ROLE ... REPLICATION."
        )
    if found["limit_mb"] < 0 and not allow_unlimited_wal:
        raise ConfigurationError(
            f"{place} has no limit for what a slot may keep: a capture that is down would fill the "
            "disk, and stop the database. Run ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; "
            "SELECT pg_reload_conf(); or say allow_unlimited_wal=True."
        )


async def make_publication(
    connection: asyncpg.Connection, name: str, tables: Collection[CapturedTable]
) -> list[str]:
    """Let the publication publish exactly these tables; returns those that it did not yet.

    It is never dropped: a slot that has older changes to tell needs it as it was then.
    """
    found = await connection.fetchrow(sql("select_publication"), name)
    listed = ", ".join(sorted(table.full_name for table in tables))
    if found is None:
        await connection.execute(
            f"CREATE PUBLICATION {quoted(name)} FOR TABLE {listed} "
            "WITH (publish_via_partition_root = true)"
        )
        return sorted(table.name for table in tables)
    if found["everything"] or not found["all_operations"] or not found["via_root"]:
        raise ConfigurationError(
            f"there is a publication {name} already, which is not ours: it must publish single "
            "tables, all operations, with publish_via_partition_root. Choose another name: "
            'Capture(..., slot="...").'
        )
    new = {table.id for table in tables} - set(found["tables"])
    if new or set(found["tables"]) - {table.id for table in tables}:
        await connection.execute(f"ALTER PUBLICATION {quoted(name)} SET TABLE {listed}")
    return sorted(table.name for table in tables if table.id in new)


async def make_slot(connection: asyncpg.Connection, slot: str) -> Any:
    """Make the slot. Changes committed from now on are kept for it."""
    try:
        return await connection.fetchval(sql("create_slot"), slot)
    except asyncpg.ConfigurationLimitExceededError as error:
        raise ConfigurationError(
            f"the server has no replication slot left ({error}). Raise max_replication_slots, or "
            "drop one that nobody uses: see the view pg_replication_slots."
        ) from error
