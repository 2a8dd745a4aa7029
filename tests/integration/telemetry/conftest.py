"""The bank in PostgreSQL, somebody else's connection to it, and a server that never answers."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import asyncpg
import pytest


@pytest.fixture
async def other(postgres):
    """A connection of somebody else, with the rights of the owner."""
    connection = await asyncpg.connect(
        postgres.primary, server_settings={"application_name": "somebody"}
    )
    yield connection
    await connection.close(timeout=5)


@pytest.fixture
def black_hole() -> Iterator[int]:
    """The port of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield listening.getsockname()[1]
