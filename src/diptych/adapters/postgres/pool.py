"""Connections that are handed out to one user at a time, and come back clean."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from diptych.adapters.postgres.connecting import connect_through
from diptych.adapters.postgres.errors import DRIVER_ERRORS, is_lost, translate, unknown
from diptych.adapters.postgres.silence import WatchedConnection
from diptych.errors import StoreUnavailable

__all__ = ["Pool"]

_MENDING_S = 5.0
_CLOSING_S = 1.0


class Pool:
    """At most `limit` connections, made when needed.

    A connection is given out only in the state in which it was made: nobody changes settings, and
    whoever leaves by an error or a cancellation leaves his connection to be mended: what runs is
    stopped, what is open is rolled back, in the background; if that fails, it is closed. So a use
    costs no round trip beside its own.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[WatchedConnection]],
        limit: int,
        place: str,
        patience_s: float,
    ) -> None:
        self._connect = connect
        self._limit = limit
        self._place = place
        self._patience_s = patience_s
        self._made = 0
        self._idle: list[WatchedConnection] = []
        self._in_use: set[WatchedConnection] = set()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._mending: set[asyncio.Task[None]] = set()
        self._closed = False

    async def fetch(self, statement: str, *arguments: Any, promptly: bool = False) -> list[Any]:
        """The rows of one reading statement.

        A connection that the server has closed meanwhile is replaced, once; not one that was given
        up, nor one that could not be made in time: nobody waits twice. Raises translated errors.
        """
        try:
            return await self._fetch(statement, arguments, promptly=promptly)
        except DRIVER_ERRORS as error:
            if not is_lost(error) or isinstance(error, TimeoutError):
                raise translate(error, self._place) from error
        try:
            return await self._fetch(statement, arguments, promptly=promptly)
        except DRIVER_ERRORS as error:
            raise translate(error, self._place) from error

    @asynccontextmanager
    async def use(self) -> AsyncIterator[WatchedConnection]:
        """A connection for several statements. Raises translated errors."""
        try:
            connection = await self._take()
            try:
                yield connection
            except BaseException:
                self._mend(connection)
                raise
            self._give_back(connection)
        except DRIVER_ERRORS as error:
            raise translate(error, self._place) from error

    @asynccontextmanager
    async def transaction(self, begin: str = "BEGIN") -> AsyncIterator[WatchedConnection]:
        """A connection in a transaction: committed when it is left, rolled back when it is left by
        an error or a cancellation.

        Raises translated errors; OutcomeUnknown when the connection was lost during the commit.
        """
        async with self.use() as connection:
            await connection.execute(begin)
            yield connection
            try:
                await connection.promptly(connection.execute("COMMIT"))
            except DRIVER_ERRORS as error:
                if is_lost(error):
                    raise unknown(error, self._place, None) from error
                raise

    async def close(self) -> None:
        """Close every connection, also those that somebody still uses."""
        self._closed = True
        if self._mending:
            await asyncio.wait(self._mending)
        for connection in self._in_use:
            connection.terminate()
        idle, self._idle = self._idle, []
        closing = (connection.close(timeout=_CLOSING_S) for connection in idle)
        await asyncio.gather(*closing, return_exceptions=True)
        self._made = 0
        while self._waiting:
            self._wake_one()

    def forget_idle(self) -> None:
        """Keep no connection that nobody uses; the next who need one make it anew."""
        idle, self._idle = self._idle, []
        for connection in idle:
            self._forget(connection)

    def terminate(self) -> None:
        """Drop every connection without a word to the server; for a loop that is gone."""
        self._closed = True
        for connection in (*self._idle, *self._in_use):
            with contextlib.suppress(Exception):
                connection.terminate()
        self._idle.clear()
        self._in_use.clear()

    async def _fetch(
        self, statement: str, arguments: tuple[Any, ...], *, promptly: bool
    ) -> list[Any]:
        connection = await self._take()
        try:
            fetch = connection.fetch_promptly if promptly else connection.fetch
            rows: list[Any] = await fetch(statement, *arguments)
        except AttributeError as error:
            # What asyncpg raises when its connection was closed before it could go on.
            self._mend(connection)
            if not self._closed:
                raise
            raise self._was_closed() from error
        except BaseException:
            self._mend(connection)
            raise
        self._give_back(connection)
        return rows

    async def _take(self) -> WatchedConnection:
        while True:
            if self._closed:
                raise self._was_closed()
            while self._idle:
                connection = self._idle.pop()
                if not connection.is_closed():
                    self._in_use.add(connection)
                    return connection
                self._forget(connection)
            if self._made < self._limit:
                return await self._make()
            await self._wait_for_one()

    def _was_closed(self) -> StoreUnavailable:
        return StoreUnavailable(f"the connections to {self._place} were closed.")

    async def _make(self) -> WatchedConnection:
        self._made += 1
        try:
            connection = await connect_through(self._connect, self._adopt)
        except asyncio.CancelledError:
            raise  # see _adopt
        except BaseException:
            self._made -= 1
            self._wake_one()
            raise
        self._in_use.add(connection)
        return connection

    def _adopt(self, connection: WatchedConnection | None) -> None:
        """Keep the connection of somebody who was cancelled while it was made."""
        if connection is None:
            self._made -= 1
            self._wake_one()
        else:
            self._give_back(connection)

    async def _wait_for_one(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            async with asyncio.timeout(self._patience_s):
                await future
        except TimeoutError:
            raise StoreUnavailable(
                f"all {self._limit} connections to {self._place} were in use for "
                f"{self._patience_s:g} s. Allow more in the URL: ?connections={self._limit * 2}."
            ) from None
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self._wake_one()  # it was our turn, and we do not take it
            raise
        finally:
            with contextlib.suppress(ValueError):
                self._waiting.remove(future)

    def _give_back(self, connection: WatchedConnection) -> None:
        if connection.is_closed() or self._closed:
            self._forget(connection)
        elif connection.is_in_transaction():
            self._mend(connection)
        else:
            self._in_use.discard(connection)
            self._idle.append(connection)
            self._wake_one()

    def _forget(self, connection: WatchedConnection) -> None:
        self._in_use.discard(connection)
        connection.terminate()
        self._made -= 1
        self._wake_one()

    def _wake_one(self) -> None:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                return

    def _mend(self, connection: WatchedConnection) -> None:
        if connection.is_closed() or self._closed:
            self._forget(connection)
            return
        task = asyncio.ensure_future(self._roll_back(connection))
        self._mending.add(task)
        task.add_done_callback(self._mending.discard)

    async def _roll_back(self, connection: WatchedConnection) -> None:
        # The driver first lets the statement that was cancelled come to its end.
        try:
            async with asyncio.timeout(_MENDING_S):
                await connection.execute("ROLLBACK")
        except BaseException as error:
            self._forget(connection)
            if not isinstance(error, Exception):
                raise
        else:
            self._give_back(connection)
