"""A log in a schema of its own, somebody else's connection, other processes, a server to break."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import asyncpg
import pytest
from tests.processes import importing_from

from diptych.adapters.postgres.event_log import PostgresEventLog

WORKERS = Path(__file__).with_name("workers.py")


@pytest.fixture
async def log(postgres_url):
    log = PostgresEventLog(postgres_url)
    await log.open()
    yield log
    await log.close()


@pytest.fixture
async def other(postgres):
    """A connection of somebody else, with the rights of the owner."""
    connection = await asyncpg.connect(postgres.primary)
    yield connection
    await connection.close()


@pytest.fixture
def start(processes):
    """Starts another process with one of the tasks of workers.py."""
    environment = importing_from(*filter(None, sys.path))
    return partial(processes.start, WORKERS, env=environment, stdin=subprocess.PIPE)
