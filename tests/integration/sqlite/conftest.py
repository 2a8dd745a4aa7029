"""A log in a file, other processes, and a disk so small that it fills up."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import apsw
import pytest
from tests.processes import importing_from

from diptych.adapters.sqlite.event_log import SqliteEventLog

WORKERS = Path(__file__).with_name("workers.py")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log.db"


@pytest.fixture
def other(path):
    """A connection of somebody else. (Not of the module sqlite3: that is a second copy of SQLite,
    and two copies in one process do not see each other's locks.)"""
    connection = apsw.Connection(str(path))
    yield connection
    connection.close()


@pytest.fixture
async def log(path):
    log = SqliteEventLog(path)
    await log.open()
    yield log
    await log.close()


@pytest.fixture
def start(processes):
    """Starts another process with one of the tasks of workers.py."""
    environment = importing_from(*filter(None, sys.path))
    return partial(processes.start, WORKERS, env=environment)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of one megabyte of its own."""
    folder = tmp_path / "small"
    folder.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(options, check=False, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command to make a small disk with")
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def make_read_only(request):
    """Makes a folder read-only, even for root."""

    def make(folder):
        if os.geteuid():
            folder.chmod(0o555)
            request.addfinalizer(lambda: folder.chmod(0o755))
            return
        command = ["mount", "-o", "remount,ro", str(folder)]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            pytest.skip("root can write everywhere, and the disk cannot be made read-only")

    return make
