"""What looks like a server that says nothing any more, and is not; and what is one."""

from __future__ import annotations

import asyncio
import socket
import time

import asyncpg
import pytest

from diptych.adapters.postgres.connection import connect_keyed, connect_reading
from diptych.adapters.postgres.silence import NoAnswer, Silence
from diptych.adapters.postgres.url import locate


@pytest.fixture
def location(postgres_url):
    return locate(postgres_url + "&timeout_s=0.5")  # 1.75 s of silence


@pytest.fixture
async def silence(location):
    silence = Silence(location)
    yield silence
    silence.close()


async def test_a_process_that_was_stopped_gives_up_nothing_that_it_could_not_hear(
    location, silence
):
    connection = await connect_keyed(location, silence)
    statement = "SELECT 1 FROM pg_sleep($1)"
    await connection.fetch_promptly(statement, 0.0)  # from now on it is sent at once
    asking = asyncio.ensure_future(connection.fetch_promptly(statement, 4.0))
    await asyncio.sleep(0)
    time.sleep(3)  # noqa: ASYNC251  the whole process stands still
    assert await asking == [(1,)]
    await connection.close()


async def test_a_short_statement_that_takes_long_is_given_up_though_the_server_lives(
    location, silence
):
    connection = await connect_keyed(location, silence)
    with pytest.raises(NoAnswer):
        await connection.fetch_promptly("SELECT pg_sleep(60)")
    assert connection.is_closed()


async def test_a_long_statement_is_left_alone_where_a_pooler_gives_out_numbers_of_its_own(
    location, silence, monkeypatch
):
    connection = await connect_reading(location, silence)
    monkeypatch.setattr(asyncpg.Connection, "get_server_pid", lambda _: -1)
    assert await connection.fetch("SELECT 1 FROM pg_sleep(4)") == [(1,)]
    await connection.close()


async def test_a_long_statement_is_given_up_when_the_server_knows_nothing_of_it(location, silence):
    connection = await connect_reading(location, silence)
    connection.get_server_pid = lambda: 1  # as if it had ended, and nobody had told us
    with pytest.raises(NoAnswer):
        await connection.fetch("SELECT pg_sleep(60)")


async def test_the_operating_system_watches_connections_on_which_nobody_waits(location, silence):
    connection = await connect_keyed(location, silence)
    found = connection._transport.get_extra_info("socket")
    assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 1750
    await connection.close()
