"""Where a capture stands, what its slot makes the server keep, and the alarm for that."""

from __future__ import annotations

import logging
from typing import Literal

import asyncpg
import msgspec

from diptych.adapters.postgres.capture.statements import sql

__all__ = ["Alarm", "CaptureState", "CaptureStatus", "Kept", "look_at_slot"]

CaptureState = Literal[
    "stopped", "starting", "running", "waiting", "retrying", "failed", "lost", "never started"
]
"""What a capture of this process is doing. `waiting`: another process captures, and this one takes
over when that ends. `failed` and `lost` wait for somebody to act.
"""

_WARN, _ERROR = 0.5, 0.8

_log = logging.getLogger("diptych")


class Kept(msgspec.Struct, frozen=True):
    """What the server says of a slot.

    `retained_bytes` of write-ahead log are kept for it, of `limit_bytes` (None: no limit).
    `wal_status`: `reserved`, `extended` (more than max_wal_size), `unreserved` (lost at the next
    checkpoint unless captured), `lost`; '' when there is no slot. `active`: it is being read.
    """

    wal_status: str = ""
    retained_bytes: int = 0
    limit_bytes: int | None = None
    active: bool = False

    @property
    def share(self) -> float:
        """How much of the limit is used up: 1.0 is all of it. Without a limit: 0."""
        return self.retained_bytes / self.limit_bytes if self.limit_bytes else 0.0


class CaptureStatus(msgspec.Struct, frozen=True):
    """One capture at one moment.

    `behind_s`: seconds since the last time when everything committed was in the log; None where
    this process cannot know (it does not run the capture). `last_lsn` is the last transaction it
    brought there, `events` how many. `why` says what is in the way; '' when nothing is.
    """

    slot: str
    state: CaptureState
    kept: Kept
    behind_s: float | None
    last_lsn: str
    events: int
    why: str = ""


async def look_at_slot(connection: asyncpg.Connection, slot: str) -> Kept:
    """What the server says of the slot now."""
    settings = await connection.fetchrow(sql("select_settings"))
    limit = None if settings["limit_mb"] < 0 else settings["limit_mb"] * 1024 * 1024
    row = await connection.fetchrow(sql("select_slot"), slot)
    if row is None:
        return Kept(limit_bytes=limit)
    return Kept(row["wal_status"], row["retained_bytes"], limit, row["active_pid"] is not None)


class Alarm:
    """Says it in the log of the process, once per step: a warning at 50 %, an error at 80 %."""

    def __init__(self, slot: str) -> None:
        self._slot = slot
        self._level = logging.NOTSET

    def look(self, kept: Kept) -> None:
        """Compare with what was said last."""
        level = logging.NOTSET
        if kept.share >= _ERROR or kept.wal_status in ("unreserved", "lost"):
            level = logging.ERROR
        elif kept.share >= _WARN:
            level = logging.WARNING
        if level > self._level:
            _log.log(
                level,
                "the slot %s keeps %d MB of write-ahead log, %d %% of its limit (%s): what is "
                "captured too late is lost. See what is in the way: status() of the capture.",
                self._slot,
                kept.retained_bytes >> 20,
                round(kept.share * 100),
                kept.wal_status,
            )
        self._level = level
