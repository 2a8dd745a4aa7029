"""A server that says nothing any more: noticed, without a timer for every statement.

A connection whose other end has vanished looks like one whose server thinks. So whoever waits is
entered here, and one timer looks, now and then, who has waited long while no byte has moved. Our
own short statements are given up then. Others may run for as long as they like, as the server
itself says, who is asked on another connection whether it is still at work on them.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import asyncpg

from diptych.adapters.postgres.connecting import connect_through
from diptych.adapters.postgres.statements import statement_in
from diptych.adapters.postgres.url import Location

__all__ = ["NoAnswer", "Silence", "WatchedConnection"]

T = TypeVar("T")

_LOOKS = 8
"""Looks within the time after which a short statement is given up."""

_SLOWEST_BYTES_PER_S = 10_000
"""What is sent may lie on the way for as long, unseen: proxies take more than they can pass on."""

# Linux: how many bytes the other end has acknowledged and sent since the connection was made.
_TCP_INFO: int | None = getattr(socket, "TCP_INFO", None)
_MOVED, _MOVED_AT = struct.Struct("QQ"), 120


class NoAnswer(TimeoutError):
    """The server said nothing for too long; the connection was closed."""


class WatchedConnection(asyncpg.Connection):  # type: ignore[misc]  # it has no types
    """A connection whose statements end when the server says nothing any more: NoAnswer.

    What is run on its prepared statements and cursors is watched only as `promptly` or
    `patiently`.
    """

    silence: Silence | None = None
    given_up: NoAnswer | None = None

    async def patiently(self, answer: Awaitable[T]) -> T:
        """The answer of what the methods below do not run, which may take as long as it likes."""
        return await self._watched(answer)

    async def promptly(self, answer: Awaitable[T], size: int = 0) -> T:
        """The answer of a statement that has to be short, however busy the server is; `size` is how
        many bytes are sent with it, if they are many.
        """
        silence = self.silence
        if silence is None:
            return await answer
        silence.begin(self, _Wait(silence.now_s(), size))
        try:  # written out here and below: every append and read comes by
            return await answer
        except Exception as error:
            if self.given_up is not None:
                raise self.given_up from error
            raise
        finally:
            silence.waiting.pop(self, None)

    def fetch_promptly(self, *arguments: object) -> Awaitable[list[Any]]:
        """The rows of a statement that has to be short."""
        return self.promptly(super().fetch(*arguments))

    def execute(self, *arguments: object, **options: object) -> Awaitable[str]:
        """See asyncpg."""
        return self._watched(super().execute(*arguments, **options))

    def executemany(self, *arguments: object, **options: object) -> Awaitable[None]:
        """See asyncpg."""
        return self._watched(super().executemany(*arguments, **options))

    def fetch(self, *arguments: object, **options: object) -> Awaitable[list[Any]]:
        """See asyncpg."""
        return self._watched(super().fetch(*arguments, **options))

    def fetchrow(self, *arguments: object, **options: object) -> Awaitable[Any]:
        """See asyncpg."""
        return self._watched(super().fetchrow(*arguments, **options))

    def fetchval(self, *arguments: object, **options: object) -> Awaitable[Any]:
        """See asyncpg."""
        return self._watched(super().fetchval(*arguments, **options))

    def prepare(self, *arguments: object, **options: object) -> Awaitable[Any]:
        """See asyncpg."""
        return self._watched(super().prepare(*arguments, **options))

    async def _watched(self, answer: Awaitable[T]) -> T:
        silence = self.silence
        if silence is None or self in silence.waiting:
            return await answer
        silence.begin(self, _Wait(silence.now_s(), None, connection_moved(self)))
        try:
            return await answer
        except Exception as error:
            if self.given_up is not None:
                raise self.given_up from error
            raise
        finally:
            silence.waiting.pop(self, None)


class _Wait:
    """One statement: since when its connection has not moved, how many bytes it has sent (None:
    it may be long, and they are counted), and how many the connection had moved when it began.
    """

    __slots__ = ("began", "moved", "prompt", "since", "size")

    def __init__(
        self, since: float, size: int | None, began: tuple[int, ...] | None = None
    ) -> None:
        self.since = since
        self.prompt = size is not None
        self.size = size or 0
        self.began = self.moved = began


class Silence:
    """Watches over all connections to one database on this event loop.

    A short statement is given up after `location.silence_s` in which no byte has moved. With any
    other, the server is asked after half of that, and has `location.timeout_s` to say that it is at
    work on it. When one is given up, `noticed` are called: connections that idle are not to be
    trusted either.
    """

    def __init__(self, location: Location) -> None:
        self._location = location
        self._loop = asyncio.get_running_loop()
        self._every_s = location.silence_s / _LOOKS
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._asking: asyncio.Task[None] | None = None
        self._closed = False
        self.now_s = self._loop.time
        self.waiting: dict[WatchedConnection, _Wait] = {}
        self.noticed: list[Callable[[], None]] = []

    def begin(self, connection: WatchedConnection, wait: _Wait) -> None:
        """A statement begins to wait on this connection."""
        self.waiting[connection] = wait
        if self._timer is None and not self._closed:
            self._look_later()

    def close(self) -> None:
        """Watch no more; who still waits is given up."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._asking is not None:
            self._asking.cancel()
        for connection, wait in list(self.waiting.items()):
            self._give_up(connection, wait)

    def _look_later(self) -> None:
        self._due = self._loop.time() + self._every_s
        self._timer = self._loop.call_at(self._due, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._loop.time()
        # A process that was stopped, or busy, has not heard what was said meanwhile.
        paused = now > self._due + self._every_s
        longest_s = self._location.silence_s
        doubtful = []
        for connection, wait in list(self.waiting.items()):
            silent_s = self._silent_s(connection, wait, now, paused=paused)
            silent_s -= wait.size / _SLOWEST_BYTES_PER_S
            if wait.prompt and silent_s >= longest_s:
                self._give_up(connection, wait)
            elif not wait.prompt and silent_s >= longest_s / 2:
                doubtful.append((connection, wait))
        if doubtful and self._asking is None:
            self._asking = self._loop.create_task(self._ask(doubtful))
        if self.waiting and not self._closed:
            self._look_later()

    def _silent_s(
        self, connection: WatchedConnection, wait: _Wait, now: float, *, paused: bool
    ) -> float:
        moved = connection_moved(connection)
        if paused or (wait.moved is not None and moved != wait.moved):
            wait.since = now
            if moved and wait.began:
                wait.size = moved[0] - wait.began[0]
        wait.moved = moved
        return now - wait.since

    async def _ask(self, doubtful: Sequence[tuple[WatchedConnection, _Wait]]) -> None:
        """Ask the server about statements that may be long, and give up those it denies."""
        try:
            pids = [connection.get_server_pid() for connection, _ in doubtful]
            at_work = await self._at_work(pids)
            for pid, (connection, wait) in zip(pids, doubtful, strict=True):
                if at_work is None or pid in at_work:
                    wait.since = self._loop.time()
                elif self._silent_s(connection, wait, self._loop.time(), paused=False) > 0:
                    self._give_up(connection, wait)
        finally:
            self._asking = None

    async def _at_work(self, pids: list[int]) -> set[int] | None:
        """Those of the server's processes that are at work; None: it lives, and cannot tell."""
        try:
            async with asyncio.timeout(self._location.timeout_s):
                connection = await connect_through(self._connect, _drop)
                try:
                    named = connection.get_server_pid()
                    answered, *found = await connection.fetch(_SELECT_AT_WORK, pids)
                finally:
                    connection.terminate()
        except asyncpg.PostgresError:
            return None
        except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            return set()
        # A pooler in between gives out numbers of its own.
        return {row["pid"] for row in found} if answered["pid"] == named else None

    async def _connect(self) -> asyncpg.Connection:
        return await asyncpg.connect(
            self._location.dsn,
            timeout=self._location.timeout_s,
            server_settings={"application_name": f"diptych {self._location.schema} asking"[:63]},
        )

    def _give_up(self, connection: WatchedConnection, wait: _Wait) -> None:
        if self.waiting.get(connection) is not wait:
            return
        connection.given_up = NoAnswer(
            f"it has said nothing for {self._loop.time() - wait.since:.1f} s"
        )
        with contextlib.suppress(Exception):
            connection.terminate()
        for tell in self.noticed:
            tell()


def connection_moved(connection: WatchedConnection) -> tuple[int, ...] | None:
    """How many bytes have gone each way; None where the machine does not say."""
    if _TCP_INFO is None:
        return None
    try:
        info = socket_of(connection).getsockopt(
            socket.IPPROTO_TCP, _TCP_INFO, _MOVED_AT + _MOVED.size
        )
        return _MOVED.unpack_from(info, _MOVED_AT)
    except (AttributeError, OSError, struct.error):  # a Unix socket, or one that is closed
        return None


def socket_of(connection: asyncpg.Connection) -> socket.socket:
    """The socket of a connection. Raises AttributeError where there is none."""
    found: socket.socket = connection._transport.get_extra_info("socket")  # noqa: SLF001
    return found


def _drop(connection: asyncpg.Connection | None) -> None:
    if connection is not None:
        connection.terminate()


_SELECT_AT_WORK = statement_in("diptych.adapters.postgres", "select_at_work")
