"""The capture as an application uses it: open, run, look at, close."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Iterable
from types import TracebackType
from typing import Self

import asyncpg

from diptych.adapters.postgres.capture.beginning import Beginning, Source
from diptych.adapters.postgres.capture.connection import connected
from diptych.adapters.postgres.capture.reader import Limits, Reader
from diptych.adapters.postgres.capture.statements import sql
from diptych.adapters.postgres.capture.status import (
    Alarm,
    CaptureState,
    CaptureStatus,
    look_at_slot,
)
from diptych.adapters.postgres.capture.tables import by_table
from diptych.adapters.postgres.silence import WatchedConnection
from diptych.adapters.postgres.url import locate
from diptych.environment import Environment
from diptych.errors import (
    CaptureFailed,
    CaptureLost,
    ConfigurationError,
    DiptychError,
    OutcomeUnknown,
    StoreUnavailable,
)
from diptych.events.capture import ChangeMapping
from diptych.events.log import EventLog

__all__ = ["Capture"]

_PAUSE_S = (0.004, 0.2)
"""Shortest and longest pause between two looks. An idle look is one statement that reads nothing:
five a second, each well below a millisecond of the server's time."""

_RETRY_S = (0.05, 5.0)
_ASK_FOR_LOCK_S = 0.25
_ALARM_S = 5.0

_log = logging.getLogger("diptych")


class Capture:
    """Makes events, in `log`, of changes that other programs make to tables of the database `url`.

    ```python
    async with app, Capture(url, app.log, [order_changes]):
        ...
    ```

    Every transaction comes once into the log, in the order of commits, and its events are in one
    append unless it is very large. Events stand in the log a few milliseconds after the commit.

    Any number of processes may open the same capture: one of them reads, the others wait and take
    over when it ends, however it ends.

    Args:
        url: The database, as for a log; its `schema` holds the record of the capture.
        log: Where the events go: any log, also in another database. It must be open.
        mappings: Functions under `@captures`.
        slot: Name of the replication slot and of the publication, both made where missing.
        snapshot: When the capture begins, tell every row that is there, as `snapshot`.
        allow_unlimited_wal: Start although the server does not limit what a slot may keep.
        limits: What is held in memory; see Limits.
        environment: Clock, ids, chance.

    Raises ConfigurationError for mappings that could not work.
    """

    def __init__(
        self,
        url: str,
        log: EventLog,
        mappings: Iterable[ChangeMapping],
        *,
        slot: str = "diptych",
        snapshot: bool = False,
        allow_unlimited_wal: bool = False,
        limits: Limits | None = None,
        environment: Environment | None = None,
    ) -> None:
        if not re.fullmatch(r"[a-z0-9_]{1,63}", slot):
            raise ConfigurationError(
                f"{slot!r} cannot be the name of a slot: use 1 to 63 of a-z, 0-9 and _."
            )
        self._environment = environment or Environment()
        self._source = Source(
            locate(url),
            slot,
            log,
            by_table(mappings),
            self._environment,
            snapshot,
            allow_unlimited_wal,
        )
        self._limits = limits or Limits()
        self._tasks: list[asyncio.Task[None]] = []
        self._state: CaptureState = "never started"
        self._why = ""
        self._error: Exception | None = None
        self._reader: Reader | None = None
        self._events = 0
        self._last_lsn = ""
        self._even_s: float | None = None
        self._pause_s = _RETRY_S[0]
        self._moved = asyncio.Condition()

    async def open(self) -> Self:
        """Begin to capture in the background. Calling again does nothing.

        What goes wrong there is in `status()` and in the log of the process, and raised by
        `caught_up`.
        """
        if not self._tasks:
            self._source.log.identity  # noqa: B018  raises StoreUnavailable when it is not open
            self._error = None
            name = f"capture {self._source.slot}"
            self._tasks = [
                asyncio.create_task(self._run_and_say(), name=name),
                asyncio.create_task(self._watch(), name=f"alarm of {name}"),
            ]
        return self

    async def close(self) -> None:
        """Stop. What was not captured yet will be, by the next that opens it."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._state not in ("failed", "lost", "never started"):
            self._even_s = None
            await self._becomes("stopped")

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def run(self) -> None:
        """Capture until cancelled. Cancelling loses nothing, at any moment.

        Waits while another process captures. Unreachable stores are tried again. Raises
        CaptureFailed, CaptureLost, ConfigurationError, and StoreError for what does not go by.
        """
        try:
            await self._run()
        except Exception as error:
            self._error = error
            await self._becomes("lost" if isinstance(error, CaptureLost) else "failed", str(error))
            raise

    async def caught_up(self, within_s: float = 30.0) -> None:
        """Return when everything that is committed now is in the log.

        Only for a capture that is open here, and not waiting for another process. Raises what
        stopped it, and TimeoutError.
        """
        async with asyncio.timeout(within_s):
            async with connected(self._source.location, self._source.slot) as connection:
                upto: int = (await connection.fetchrow(sql("select_current")))["current"]
            async with self._moved:
                await self._moved.wait_for(
                    lambda: self._error or (self._reader and self._reader.reached >= upto)
                )
        if self._error is not None:
            raise self._error

    async def status(self) -> CaptureStatus:
        """Where the capture stands, here and on the server. Raises StoreUnavailable."""
        slot = self._source.slot
        async with connected(self._source.location, slot) as connection:
            kept = await look_at_slot(connection, slot)
        behind = None
        if self._even_s is not None:
            behind = self._environment.monotonic_s() - self._even_s
        return CaptureStatus(
            slot, self._state, kept, behind, self._last_lsn, self._events, self._why
        )

    async def resnapshot(self) -> None:
        """Give the slot up, so that the next `open` begins anew and tells every row.

        For a slot that was lost. What happened meanwhile is not told, only what is there: a row
        that was deleted is simply not among the rows. Raises ConfigurationError while it is open,
        here or in another process.
        """
        source = self._source
        async with connected(source.location, source.slot) as connection:
            if self._tasks or not await self._may_hold(connection):
                raise ConfigurationError(
                    f"the capture {source.slot} is open, here or in another process: close it "
                    "everywhere, then call resnapshot() again."
                )
            await Beginning(connection, source).again()

    async def drop(self) -> None:
        """Remove slot and publication for good: the server keeps nothing for it any more.

        Raises ConfigurationError while it is open, here or in another process.
        """
        await self.resnapshot()
        async with connected(self._source.location, self._source.slot) as connection:
            await Beginning(connection, self._source).remove()

    async def _run(self) -> None:
        while True:
            try:
                async with connected(self._source.location, self._source.slot) as connection:
                    await self._hold(connection)
                    await self._follow(connection)
            except (StoreUnavailable, OutcomeUnknown) as error:
                await self._becomes("retrying", str(error))
                chance = 0.5 + self._environment.random.random()
                await self._environment.sleep(self._pause_s * chance)
                self._pause_s = min(self._pause_s * 2, _RETRY_S[1])

    async def _follow(self, connection: WatchedConnection) -> None:
        await self._becomes("starting")
        attached = await Beginning(connection, self._source).attach()
        reader = Reader(connection, self._source.slot, attached, self._limits)
        self._even_s = self._environment.monotonic_s()
        self._reader = reader
        pause_s = _PAUSE_S[0]
        while True:
            began = self._environment.monotonic_s()
            before, events = reader.reached, reader.appended
            more = await reader.look()
            now = self._environment.monotonic_s()
            self._events += reader.appended - events
            self._last_lsn = reader.last_lsn or self._last_lsn
            self._pause_s = _RETRY_S[0]
            if not more:
                self._even_s = began
            if self._state != "running" or reader.reached != before:
                await self._becomes("running")
            if more:
                continue
            # A look reads the write-ahead log again from where the oldest open transaction began:
            # where that takes long, pausing as long leaves half of a core to others.
            shortest = max(_PAUSE_S[0], now - began)
            pause_s = shortest if reader.appended > events else max(pause_s * 1.5, shortest)
            pause_s = min(pause_s, max(_PAUSE_S[1], shortest))
            await self._environment.sleep(pause_s)

    async def _hold(self, connection: asyncpg.Connection) -> None:
        """Be the only one that reads the slot, for as long as the connection lives."""
        while not await self._may_hold(connection):
            await self._becomes("waiting", "another process captures")
            # Asking again, not waiting in the server: that would hold back its vacuum.
            await self._environment.sleep(_ASK_FOR_LOCK_S)

    async def _may_hold(self, connection: asyncpg.Connection) -> bool:
        return bool(await connection.fetchval(sql("try_lock_capture"), self._source.slot))

    async def _run_and_say(self) -> None:
        try:
            await self.run()
        except Exception as error:  # noqa: BLE001  nobody waits for this task: it must be said
            # Only a mapping, or a bug, needs a traceback; the other sentences say it all.
            known = isinstance(error, DiptychError) and not isinstance(error, CaptureFailed)
            trace = None if known else error
            _log.error("capture %s stopped: %s", self._source.slot, error, exc_info=trace)

    async def _watch(self) -> None:
        """Look at what the slot keeps, also while the capture stands still."""
        alarm = Alarm(self._source.slot)
        while True:
            with contextlib.suppress(DiptychError):  # unreachable: the capture itself says so
                async with connected(self._source.location, self._source.slot) as connection:
                    while True:
                        alarm.look(await look_at_slot(connection, self._source.slot))
                        await self._environment.sleep(_ALARM_S)
            await self._environment.sleep(_ALARM_S)

    async def _becomes(self, state: CaptureState, why: str = "") -> None:
        self._state, self._why = state, why
        async with self._moved:
            self._moved.notify_all()
