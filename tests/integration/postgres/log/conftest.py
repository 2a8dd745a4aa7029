"""A log in a schema of its own, somebody else's connection, other processes, a server to break."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

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
def start():
    """Starts another process with one of the tasks of workers.py; ended after the test."""
    started = []

    def start(task, *arguments):
        process = subprocess.Popen(
            [sys.executable, str(WORKERS), task, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdin.close()
        process.stdout.close()
