"""Connections: one kind that reads, one kind that writes."""

from __future__ import annotations

import contextlib
import socket

import asyncpg

from diptych.adapters.postgres.silence import Silence, WatchedConnection, socket_of
from diptych.adapters.postgres.statements import quoted
from diptych.adapters.postgres.url import Location

__all__ = [
    "connect_keyed",
    "connect_listening",
    "connect_reading",
    "connect_writing",
    "keep_alive",
    "writing_name",
]

_PROBES = 3
"""Unanswered keepalives after which the operating system gives a connection up."""


async def connect_reading(location: Location, silence: Silence | None = None) -> WatchedConnection:
    """A connection for reads of any kind, also those that users write. Raises driver errors."""
    return await _connect(location, silence, "reading", default_transaction_read_only="on")


async def connect_keyed(location: Location, silence: Silence | None = None) -> WatchedConnection:
    """A connection for our own reads, which find rows by key; see connect_writing."""
    return await _connect(
        location,
        silence,
        "reading by key",
        default_transaction_read_only="on",
        enable_seqscan="off",
    )


async def connect_writing(location: Location, silence: Silence | None = None) -> WatchedConnection:
    """A connection for appends, or for changes of read models.

    Its statements find rows by key in tables that may have been empty when the statement was
    planned, and PostgreSQL keeps such a plan: scanning the table would stay its choice for ever.
    So it may not scan where there is an index. Raises driver errors.
    """
    milliseconds = str(int(location.timeout_s * 1000))
    return await _connect(
        location,
        silence,
        "writing",
        pipelined=True,
        enable_seqscan="off",
        # A process that is stopped, or cut off, in a transaction must not stop all others.
        idle_in_transaction_session_timeout=milliseconds,
    )


async def connect_listening(
    location: Location, silence: Silence | None = None
) -> WatchedConnection:
    """A connection that only waits to be told. Raises driver errors."""
    return await _connect(location, silence, "listening")


def keep_alive(
    connection: asyncpg.Connection, location: Location, *, pipelined: bool = False
) -> None:
    """Let the operating system notice a machine that has vanished, also where nobody waits for a
    statement: within about `timeout_s`. On a `pipelined` connection more statements are sent than
    the server has room for: that it does not take them means nothing.
    """
    pause_s = max(int(location.timeout_s / (_PROBES + 1)), 1)
    options = {
        "TCP_KEEPIDLE": pause_s,
        "TCP_KEEPINTVL": pause_s,
        "TCP_KEEPCNT": _PROBES,
    }
    if not pipelined:
        options["TCP_USER_TIMEOUT"] = int(location.silence_s * 1000)
    with contextlib.suppress(AttributeError, OSError):  # a Unix socket has no wire
        found = socket_of(connection)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in options.items():
            if hasattr(socket, name):
                found.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def _connect(
    location: Location,
    silence: Silence | None,
    purpose: str,
    *,
    pipelined: bool = False,
    **settings: str,
) -> WatchedConnection:
    connection: WatchedConnection = await asyncpg.connect(
        location.dsn,
        timeout=location.timeout_s,
        connection_class=WatchedConnection,
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
    keep_alive(connection, location, pipelined=pipelined)
    connection.silence = silence
    return connection


def writing_name(location: Location) -> str:
    """How the server knows the connections of `connect_writing`."""
    return _name(location, "writing")


def _name(location: Location, purpose: str) -> str:
    return f"diptych {location.schema} {purpose}"[:63]
