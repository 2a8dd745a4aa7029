"""Poisoned events on real stores, and other processes that run, write, retry and die."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
WORKERS = Path(__file__).with_name("parked_workers.py")
sys.path[:0] = [str(TESTS / "unit"), str(WORKERS.parent)]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/poisoned.db"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture(autouse=True)
def _nothing_is_bad() -> Iterator[None]:
    from poison import BAD

    BAD.clear()
    yield
    BAD.clear()


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a task of parked_workers.py; it is killed at the end if it still runs."""
    started: list[subprocess.Popen[str]] = []
    path = os.pathsep.join([str(TESTS.parent / "src"), str(TESTS / "unit")])

    def run(task: str, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(WORKERS), task, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "error"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()
