"""The tables of a log: made where there are none, refused where they are not ours."""

from __future__ import annotations

import apsw
import msgspec

from diptych.adapters.sqlite.statements import all_rows, sql
from diptych.errors import ConfigurationError, SchemaTooNew

__all__ = ["SCHEMA_VERSION", "make_log_tables"]

SCHEMA_VERSION = 1
_TABLES = ("events", "streams", "event_tags", "commands", "snapshots", "events_readable")
_OTHERS = ("events_never_change", "events_never_vanish")


def make_log_tables(connection: apsw.Connection, path: str, identity: str, now_us: int) -> str:
    """The log's identity; `identity` when it is new.

    Runs under the write lock, so two processes cannot both make the tables.

    Raises SchemaTooNew, and ConfigurationError when somebody else's tables are in the way.
    """
    wanted = msgspec.json.encode(("log", *_TABLES)).decode()
    taken = {name for (name,) in all_rows(connection, sql("select_tables"), (wanted,))}
    if "log" in taken:
        return _identity(connection, path)
    if taken:
        raise ConfigurationError(
            f"{path} has a table {min(taken)!r} that is not diptych's. Give the log a file of its "
            "own."
        )
    for name in ("log", *_TABLES, *_OTHERS):
        connection.execute(sql(f"create_{name}"))
    connection.execute(sql("insert_log"), (identity, SCHEMA_VERSION, now_us))
    return identity


def _identity(connection: apsw.Connection, path: str) -> str:
    try:
        ((identity, found),) = all_rows(connection, sql("select_log"))
    except (apsw.SQLError, ValueError) as error:
        raise ConfigurationError(
            f"{path} has a table 'log' that is not diptych's. Give the log a file of its own."
        ) from error
    if found > SCHEMA_VERSION:
        raise SchemaTooNew(
            f"{path} has a log of schema {found}, and this diptych knows {SCHEMA_VERSION} at most. "
            "Upgrade diptych: pip install --upgrade diptych",
            found=found,
            known=SCHEMA_VERSION,
        )
    return str(identity)
