"""Reading what is committed: at once on the event loop, or in a thread when it takes long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import apsw

from diptych.adapters.sqlite.connection import connect_reading
from diptych.adapters.sqlite.errors import garbled, translate
from diptych.adapters.sqlite.nudge import Nudge
from diptych.adapters.sqlite.statements import all_rows
from diptych.adapters.sqlite.url import Location

__all__ = ["Reader"]

T = TypeVar("T")

_UNREADABLE = (apsw.Error, UnicodeDecodeError)
_TOO_LONG_S = 0.002
_LOOK_EVERY = 4000
"""Steps of SQLite's machine between two looks at the clock; about 0.2 ms."""

_MOST_REMEMBERED = 1000


class Reader:
    """Two reading connections: one for the event loop, one for a thread.

    A hop to a thread and back costs 50 us, ten times a small read. So a read of unknown size is
    begun on the loop, and if it has not finished after 2 ms it is begun again in the thread; the
    same statement then goes to the thread at once, until it has become quick again.

    All reads see what is committed, and each call one state of it.
    """

    def __init__(self, connection: apsw.Connection, location: Location, nudge: Nudge) -> None:
        self._location = location
        self._nudge = nudge
        self._here = connection
        self._here.set_progress_handler(self._took_too_long, _LOOK_EVERY)
        self._until = float("inf")
        self._there: apsw.Connection | None = None
        self._thread = ThreadPoolExecutor(1, "diptych-sqlite-reading")
        self._slow: set[str] = set()

    def now(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        """The rows, at once, with SQLite's own errors; for reads that are known to be small."""
        return all_rows(self._here, sql, parameters)

    async def small(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        """The rows of a read that is known to be small. Waits while the file is locked."""
        try:
            return all_rows(self._here, sql, parameters)
        except apsw.BusyError:
            return await self._patiently(lambda: self.now(sql, parameters))
        except UnicodeDecodeError as error:
            raise garbled(error, self._location.path, self._here, sql, parameters) from error
        except apsw.Error as error:
            raise translate(error, self._location.path) from error

    async def large(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        """The rows of a read that is known to be large: in the thread."""
        return await self._in_thread(lambda it: all_rows(it, sql, parameters))

    async def any_size(self, sql: str, use: Callable[[apsw.Connection], T]) -> T:
        """The result of `use`, which runs `sql` on the connection given; perhaps twice."""
        if sql in self._slow:
            return await self._again_in_thread(sql, use)
        self._until = time.perf_counter() + _TOO_LONG_S
        try:
            return use(self._here)
        except apsw.InterruptError:
            self._remember_as_slow(sql)
        except apsw.BusyError:
            return await self._patiently(lambda: use(self._here))
        except _UNREADABLE as error:
            raise translate(error, self._location.path) from error
        finally:
            self._until = float("inf")
        return await self._in_thread(use)

    async def close(self) -> None:
        """Let what runs in the thread finish, then close both connections."""
        await asyncio.to_thread(self._thread.shutdown)
        if self._there is not None:
            self._there.close()
        self._here.close()

    def _took_too_long(self) -> bool:
        return time.perf_counter() > self._until

    def _remember_as_slow(self, sql: str) -> None:
        if len(self._slow) >= _MOST_REMEMBERED:  # somebody writes values into the text
            self._slow.clear()
        self._slow.add(sql)

    async def _again_in_thread(self, sql: str, use: Callable[[apsw.Connection], T]) -> T:
        began = time.perf_counter()
        result = await self._in_thread(use)
        if time.perf_counter() - began < _TOO_LONG_S / 2:
            self._slow.discard(sql)
        return result

    async def _in_thread(self, use: Callable[[apsw.Connection], T]) -> T:
        self._nudge.begin()
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, lambda: use(self._connection_there()))
        except _UNREADABLE as error:
            raise translate(error, self._location.path) from error
        finally:
            self._nudge.end()

    def _connection_there(self) -> apsw.Connection:
        if self._there is None:
            self._there = connect_reading(self._location)
            self._there.set_busy_timeout(int(self._location.busy_timeout_s * 1000))
        return self._there

    async def _patiently(self, read: Callable[[], T]) -> T:
        """Readers are locked out only while another process opens, closes or recovers the file."""
        until = time.monotonic() + self._location.busy_timeout_s
        while True:
            await asyncio.sleep(0.005)
            try:
                return read()
            except apsw.BusyError as error:
                if time.monotonic() >= until:
                    raise translate(error, self._location.path) from error
            except _UNREADABLE as error:
                raise translate(error, self._location.path) from error
