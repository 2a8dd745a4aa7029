"""The smallest HTTP endpoint that Prometheus can scrape: one path, one answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

__all__ = ["serve_metrics"]

_HEAD_BYTES = 8_192
_HEAD_WITHIN_S = 5.0
_ANSWER_WITHIN_S = 20.0
_AT_ONCE = 16
"""Who connects and says nothing is let go of after a few seconds; whoever comes when so many are
there is not heard.
"""


async def serve_metrics(
    text: Callable[[], Awaitable[bytes]], content_type: str, host: str, port: int
) -> asyncio.Server:
    """Answer `GET /metrics` with `text()` until the server is closed. Port 0: any that is free.

    For a loopback address or a network that only Prometheus reaches: it knows no TLS and no
    password. Raises OSError when the port is taken.
    """
    busy = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal busy
        busy += 1
        try:
            # Cancelled is how a server that is stopped ends: nobody waits for this task.
            with contextlib.suppress(OSError, TimeoutError, asyncio.CancelledError):
                if busy <= _AT_ONCE:
                    writer.write(await _reply_to(reader, text, content_type))
                    async with asyncio.timeout(_ANSWER_WITHIN_S):
                        await writer.drain()
        finally:
            busy -= 1
            writer.close()

    return await asyncio.start_server(answer, host, port, limit=_HEAD_BYTES)


async def _reply_to(
    reader: asyncio.StreamReader, text: Callable[[], Awaitable[bytes]], content_type: str
) -> bytes:
    try:
        async with asyncio.timeout(_HEAD_WITHIN_S):
            head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return _reply("400 Bad Request", b"not understood\n")
    method, _, rest = head.partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0]
    if method not in (b"GET", b"HEAD"):
        return _reply("405 Method Not Allowed", b"GET /metrics\n")
    if path != b"/metrics":
        return _reply("404 Not Found", b"GET /metrics\n")
    body = await text()
    return _reply("200 OK", body, content_type, with_body=method == b"GET")


def _reply(
    status: str,
    body: bytes,
    content_type: str = "text/plain; charset=utf-8",
    *,
    with_body: bool = True,
) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (body if with_body else b"")
