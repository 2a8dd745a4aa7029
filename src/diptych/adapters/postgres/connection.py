"""Connections: one kind that reads, one kind that writes."""

from __future__ import annotations

import asyncpg

from diptych.adapters.postgres.statements import quoted
from diptych.adapters.postgres.url import Location

__all__ = [
    "connect_keyed",
    "connect_listening",
    "connect_reading",
    "connect_writing",
    "writing_name",
]


async def connect_reading(location: Location) -> asyncpg.Connection:
    """A connection for reads of any kind, also those that users write. Raises driver errors."""
    return await _connect(location, "reading", default_transaction_read_only="on")


async def connect_keyed(location: Location) -> asyncpg.Connection:
    """A connection for our own reads, which find rows by key; see connect_writing."""
    return await _connect(
        location, "reading by key", default_transaction_read_only="on", enable_seqscan="off"
    )


async def connect_writing(location: Location) -> asyncpg.Connection:
    """A connection for appends, or for changes of read models.

    Its statements find rows by key in tables that may have been empty when the statement was
    planned, and PostgreSQL keeps such a plan: scanning the table would stay its choice for ever.
    So it may not scan where there is an index. Raises driver errors.
    """
    milliseconds = str(int(location.timeout_s * 1000))
    return await _connect(
        location,
        "writing",
        enable_seqscan="off",
        # A process that is stopped, or cut off, in a transaction must not stop all others.
        idle_in_transaction_session_timeout=milliseconds,
    )


async def connect_listening(location: Location) -> asyncpg.Connection:
    """A connection that only waits to be told. Raises driver errors."""
    return await _connect(location, "listening")


async def _connect(location: Location, purpose: str, **settings: str) -> asyncpg.Connection:
    return await asyncpg.connect(
        location.dsn,
        timeout=location.timeout_s,
        server_settings={
            "application_name": _name(location, purpose),
            # What is made is made in the schema; what the application had before is found, too.
            "search_path": f"{quoted(location.schema)}, {location.search_path}",
            "default_transaction_isolation": "read committed",
            "lock_timeout": str(int(location.timeout_s * 1000)),
            "TimeZone": "UTC",
            "jit": "off",
            **settings,
        },
    )


def writing_name(location: Location) -> str:
    """How the server knows the connections of `connect_writing`."""
    return _name(location, "writing")


def _name(location: Location, purpose: str) -> str:
    return f"diptych {location.schema} {purpose}"[:63]
