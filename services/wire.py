"""A wire to a server that a test can make slow, silent, deaf or broken: a TCP proxy of our own.

Real networks do all of this, and a test has no right to do it to the machine it runs on.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from socket import SO_LINGER, SOL_SOCKET
from typing import Literal, Self
from urllib.parse import urlsplit, urlunsplit

__all__ = ["Wire"]

_CHUNK = 65_536
_RESET = struct.pack("ii", 1, 0)


class Wire:
    """Connections to the server of a URL lead through it; `url` is what to connect to instead.

    ```python
    async with Wire("postgresql://me@127.0.0.1:5432/shop") as wire:
        app = App("shop", parts, write=wire.url)
        wire.latency_s = 0.5
    ```

    `latency_s` is added to everything that travels, each way; `bytes_per_s` is how much passes,
    each way and connection (None: everything).
    """

    def __init__(self, url: str) -> None:
        self.latency_s = 0.0
        self.bytes_per_s: float | None = None
        self.broken = 0
        self._parts = urlsplit(url)
        self._flows = asyncio.Event()
        self._flows.set()
        self._marked: tuple[bytes, Literal["heard", "unheard"]] | None = None
        self._port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._stranded: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """The URL given, with the address of this end of the wire."""
        account, at, _ = self._parts.netloc.rpartition("@")
        return urlunsplit(self._parts._replace(netloc=f"{account}{at}127.0.0.1:{self._port}"))

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._joined, "127.0.0.1", 0)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._writers |= self._stranded
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def silence(self) -> None:
        """From now on nothing arrives at either end, and nobody is told (a half-open connection).

        New connections are taken and hear nothing.
        """
        self._flows.clear()

    def strand(self) -> None:
        """The connections that there are stay silent for ever; new ones work.

        So does a machine on the way that has forgotten them, and tells nobody.
        """
        self._stranded |= self._writers

    def mend(self) -> None:
        """What was sent meanwhile arrives now."""
        self._flows.set()

    def cut(self) -> None:
        """Reset every connection, at both ends."""
        for writer in list(self._writers):
            _reset(writer)

    def break_at(self, mark: bytes, request: Literal["heard", "unheard"]) -> None:
        """Reset the next connection on which a client sends `mark`, instead of any answer.

        The server has heard, and answered, what it was sent; or has not.
        """
        self._marked = mark, request

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = self._parts.hostname or "127.0.0.1", self._parts.port or 5432
        there, back = await asyncio.open_connection(host, port)
        deaf = asyncio.Event()
        self._writers |= {writer, back}
        for way in (self._ask(reader, back, deaf), self._answer(there, writer, back, deaf)):
            task = asyncio.ensure_future(way)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask(
        self, reader: asyncio.StreamReader, back: asyncio.StreamWriter, deaf: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                if self._marked is not None and self._marked[0] in data:
                    (_, request), self._marked = self._marked, None
                    deaf.set()
                    if request == "unheard":
                        self.broken += 1
                        _reset(back)
                        return
                await self._carry(data, back)
        self._end(back)

    async def _answer(
        self,
        there: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        back: asyncio.StreamWriter,
        deaf: asyncio.Event,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await there.read(_CHUNK):
                if deaf.is_set():
                    self.broken += 1
                    break
                await self._carry(data, writer)
        if deaf.is_set():
            _reset(writer)
            _reset(back)
        self._end(writer)

    async def _carry(self, data: bytes, to: asyncio.StreamWriter) -> None:
        if self.latency_s:
            await asyncio.sleep(self.latency_s)
        if self.bytes_per_s is not None:
            await asyncio.sleep(len(data) / self.bytes_per_s)
        await self._flows.wait()
        if to in self._stranded:
            return
        to.write(data)
        await to.drain()

    def _end(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        if writer not in self._stranded:
            writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, AttributeError):
        writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, _RESET)
    writer.transport.abort()
