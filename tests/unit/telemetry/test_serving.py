"""The endpoint that Prometheus scrapes, and what else may come to it."""

from __future__ import annotations

import asyncio

import pytest

from diptych.telemetry import serving
from diptych.telemetry.instrument import CONTENT_TYPE
from diptych.telemetry.serving import serve_metrics


async def text() -> bytes:
    return b"a 1\n"


@pytest.fixture
async def port():
    server = await serve_metrics(text, CONTENT_TYPE, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


async def answer(port: int, said: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    found = await reader.read()
    writer.close()
    await writer.wait_closed()
    return found


async def answer_or_none(port: int) -> bytes | None:
    try:
        return await answer(port, b"GET /metrics HTTP/1.1\r\n\r\n") or None
    except ConnectionError:
        return None


@pytest.mark.parametrize("path", [b"/metrics", b"/metrics?x=1"])
async def test_it_answers_at_one_path(port, path):
    head, _, body = (await answer(port, b"GET " + path + b" HTTP/1.1\r\n\r\n")).partition(
        b"\r\n\r\n"
    )
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"Content-Type: {CONTENT_TYPE}".encode() in head
    assert b"Content-Length: 4" in head
    assert body == b"a 1\n"


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"404"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"405"),
        (b"\x16\x03\x01nonsense\r\n\r\n", b"405"),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 10_000 + b"\r\n\r\n", b"400"),
    ],
)
async def test_anything_else_is_refused(port, said, status):
    assert (await answer(port, said)).split(b" ")[1] == status


async def test_head_says_the_length_only(port):
    found = await answer(port, b"HEAD /metrics HTTP/1.1\r\n\r\n")
    assert b"Content-Length: 4" in found
    assert found.endswith(b"\r\n\r\n")


async def test_who_connects_and_says_nothing_keeps_nobody_out(port, monkeypatch):
    monkeypatch.setattr(serving, "_HEAD_WITHIN_S", 0.2)
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(serving._AT_ONCE)]
    assert await answer_or_none(port) is None
    async with asyncio.timeout(20):
        while await answer_or_none(port) is None:
            pass
    for reader, writer in silent:
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
