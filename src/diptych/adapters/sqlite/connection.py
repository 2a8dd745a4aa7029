"""Connections: one kind that writes, one kind that reads."""

from __future__ import annotations

import time
from typing import Any

import apsw

from diptych.adapters.sqlite.statements import all_rows
from diptych.adapters.sqlite.url import Location
from diptych.errors import ConfigurationError

__all__ = ["connect_reading", "connect_writing", "refuse_unsafe_sqlite"]

_FIRST_UNSAFE = (3, 7, 0)
_FIRST_SAFE = (3, 51, 3)


def refuse_unsafe_sqlite(version: str | None = None) -> None:
    """Raise ConfigurationError for an SQLite that can corrupt a database.

    From 3.7.0 to 3.51.2, two connections that checkpoint and write at the same moment could reset
    the write-ahead log wrongly.
    """
    version = version or apsw.sqlite_lib_version()
    numbers = tuple(int(part) for part in version.split(".")[:3])
    if _FIRST_UNSAFE <= numbers < _FIRST_SAFE:
        raise ConfigurationError(
            f"this SQLite is {version}; versions 3.7.0 to 3.51.2 can corrupt a database in WAL "
            "mode (the WAL-reset bug). Install a newer apsw: pip install --upgrade apsw"
        )


def connect_writing(location: Location) -> apsw.Connection:
    """The connection that writes (and checkpoints). Blocks while the file is locked."""
    refuse_unsafe_sqlite()
    connection = apsw.Connection(location.path, statementcachesize=200)
    try:
        _use_wal(connection, location)
        _set(
            connection,
            location,
            f"synchronous = {location.synchronous}",
            f"journal_size_limit = {16 << 20}",
        )
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reading(location: Location) -> apsw.Connection:
    """A connection that cannot write. The file must exist. Blocks while the file is locked."""
    # WAL readers write to the -shm file, so this cannot be SQLITE_OPEN_READONLY.
    connection = apsw.Connection(
        location.path, flags=apsw.SQLITE_OPEN_READWRITE, statementcachesize=200
    )
    try:
        _set(connection, location, "query_only = ON")
    except BaseException:
        connection.close()
        raise
    connection.authorizer = _only_reading
    return connection


_READING = frozenset(
    {
        apsw.SQLITE_SELECT,
        apsw.SQLITE_READ,
        apsw.SQLITE_FUNCTION,
        apsw.SQLITE_RECURSIVE,
    }
)


def _only_reading(action: int, first: str | None, *_: str | None) -> int:
    # Full-text search looks at data_version on its own account.
    harmless = action == apsw.SQLITE_PRAGMA and first == "data_version"
    return apsw.SQLITE_OK if action in _READING or harmless else apsw.SQLITE_DENY


def _use_wal(connection: apsw.Connection, location: Location) -> None:
    ((mode,),) = _patiently(connection, "PRAGMA journal_mode = WAL", location.busy_timeout_s)
    if mode != "wal":
        raise ConfigurationError(
            f"{location.path} cannot be used in WAL mode (SQLite says {mode!r}). Put it on a local "
            "disk: network file systems cannot share memory between processes."
        )


def _set(connection: apsw.Connection, location: Location, *pragmas: str) -> None:
    for pragma in (
        # Locks are waited for by whoever knows how long; see transaction.py and reader.py.
        "busy_timeout = 0",
        # Checkpoints happen when wal.py says so, never within somebody's commit.
        "wal_autocheckpoint = 0",
        f"cache_size = {-16 << 10}",
        *pragmas,
    ):
        _patiently(connection, f"PRAGMA {pragma}", location.busy_timeout_s)


def _patiently(connection: apsw.Connection, statement: str, seconds: float) -> list[Any]:
    """Run a statement, again and again while the file is locked."""
    until = time.monotonic() + seconds
    while True:
        try:
            return all_rows(connection, statement)
        except apsw.BusyError:
            if time.monotonic() >= until:
                raise
            time.sleep(0.005)
