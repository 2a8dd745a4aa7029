"""A PostgreSQL of one's own with tables of a legacy application, and captures in processes."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path

import asyncpg
import pytest
from tests.processes import SRC, Processes, importing_from

from services.postgres.private import PrivatePostgres

WORKERS = Path(__file__).with_name("capture_workers.py")
sys.path.insert(0, str(WORKERS.parent))

TABLES = """
CREATE TABLE orders (id int PRIMARY KEY, state text NOT NULL DEFAULT 'new', note text);
CREATE TABLE others (id int PRIMARY KEY);
"""

SLOTS = "SELECT slot_name, active_pid FROM pg_replication_slots"


@pytest.fixture(scope="module")
def server() -> Iterator[PrivatePostgres]:
    """A server for the tests of one file."""
    from private_server import private

    with private() as running:
        yield running


@pytest.fixture
async def url(server: PrivatePostgres) -> AsyncIterator[str]:
    """A database for one test; its slots are dropped in the end."""
    name = f"t{random.SystemRandom().randrange(1 << 40)}"
    root = await asyncpg.connect(server.url)
    await root.execute(f"CREATE DATABASE {name}")
    url = server.url.rpartition("/")[0] + f"/{name}"
    connection = await asyncpg.connect(url)
    await connection.execute(TABLES)
    await connection.close()
    await root.close()
    yield url
    root = await asyncpg.connect(server.url)  # the server may have been restarted meanwhile
    while slots := await root.fetch(SLOTS):
        for slot in slots:
            with contextlib.suppress(asyncpg.ObjectInUseError):
                await root.execute("SELECT pg_terminate_backend($1)", slot["active_pid"] or 0)
                await root.execute("SELECT pg_drop_replication_slot($1)", slot["slot_name"])
    await root.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await root.close()


@pytest.fixture
async def database(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of another program."""
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


@pytest.fixture
def chance() -> random.Random:
    """Chance whose seed is printed; `FAULT_SEED` replays it."""
    seed = int(os.environ.get("FAULT_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"FAULT_SEED={seed}")  # noqa: T201  a failure must be repeatable
    return random.Random(seed)


@pytest.fixture
def start(processes: Processes) -> Callable[..., subprocess.Popen[str]]:
    """Start a task of capture_workers.py."""
    return partial(processes.start, WORKERS, env=importing_from(SRC))
