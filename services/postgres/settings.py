"""How our PostgreSQL servers are set: for tests of durability, replication and many clients."""

from __future__ import annotations

import os
from collections.abc import Mapping

__all__ = ["as_lines", "defaults"]

LARGE_MACHINE_BYTES = 8 * 1024**3


def defaults() -> dict[str, str | int]:
    """The settings that differ from PostgreSQL's own; durability is as PostgreSQL ships it."""
    return {
        "listen_addresses": "127.0.0.1",
        "wal_level": "logical",
        "max_wal_senders": 20,
        "max_replication_slots": 20,
        "max_connections": 300,
        "hot_standby": "on",
        # A replica that was forgotten must not fill the disk.
        "max_slot_wal_keep_size": "1GB",
        "max_wal_size": "4GB",
        "shared_buffers": "1GB" if _memory_bytes() >= LARGE_MACHINE_BYTES else "128MB",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "lc_messages": "C",
        "log_line_prefix": "%m [%p] %q%a ",
        # A replica that lost its primary asks again soon.
        "wal_retrieve_retry_interval": "100ms",
    }


def as_lines(settings: Mapping[str, str | int]) -> str:
    """The settings as lines of `postgresql.conf`."""
    quoted = {name: str(value).replace("'", "''") for name, value in settings.items()}
    return "".join(f"{name} = '{value}'\n" for name, value in quoted.items())


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
