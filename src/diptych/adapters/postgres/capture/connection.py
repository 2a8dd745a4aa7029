"""The connection of a capture, and what the driver's errors mean there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from diptych.adapters.postgres.connection import keep_alive
from diptych.adapters.postgres.errors import DRIVER_ERRORS, translate
from diptych.adapters.postgres.silence import Silence, WatchedConnection
from diptych.adapters.postgres.url import Location
from diptych.errors import CaptureLost, StoreUnavailable

__all__ = ["connected", "lost"]


@asynccontextmanager
async def connected(location: Location, slot: str) -> AsyncIterator[WatchedConnection]:
    """A connection for as long as the block runs. Raises translated errors, and CaptureLost.

    Its text is what `values` reads, whatever the role's settings; no time limit ends a long
    decoding, but silence does; and a machine that vanished is noticed, so that its lock goes to
    another.
    """
    silence = Silence(location)
    try:
        connection: WatchedConnection = await asyncpg.connect(
            location.dsn,
            timeout=location.timeout_s,
            connection_class=WatchedConnection,
            server_settings={
                "application_name": f"diptych capture {slot}"[:63],
                "DateStyle": "ISO",
                "TimeZone": "UTC",
                "bytea_output": "hex",
                "extra_float_digits": "1",
                "default_transaction_isolation": "read committed",
                "default_transaction_read_only": "off",
                "statement_timeout": "0",
                "idle_in_transaction_session_timeout": "0",
                "idle_session_timeout": "0",
                "lock_timeout": str(int(location.timeout_s * 1000)),
                "client_connection_check_interval": "5s",
                "tcp_keepalives_idle": "10",
                "tcp_keepalives_interval": "5",
                "tcp_keepalives_count": "3",
                "jit": "off",
            },
        )
        keep_alive(connection, location, pipelined=True)
        connection.silence = silence
        try:
            yield connection
        finally:
            silence.close()
            # Not closed in order: that could wait for a server that no longer answers.
            connection.terminate()
    except (asyncpg.UndefinedObjectError, asyncpg.ObjectNotInPrerequisiteStateError) as error:
        raise lost(slot, str(error)) from error
    except asyncpg.ObjectInUseError as error:
        raise StoreUnavailable(
            f"the slot {slot} is being read by somebody else: {error}. Only captures may read it."
        ) from error
    except DRIVER_ERRORS as error:
        raise translate(error, location.place) from error


def lost(slot: str, why: str) -> CaptureLost:
    """What to raise when the changes that come next are gone."""
    return CaptureLost(
        f"the capture {slot} lost its place: {why}. Changes since then may be missing in the log. "
        "Call resnapshot() of the capture and start it again: it tells every row as it is now. To "
        "lose it less easily, raise max_slot_wal_keep_size on the server, and act on the alarm.",
        slot=slot,
        why=why,
    )
