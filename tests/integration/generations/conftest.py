"""One application on SQLite and on PostgreSQL, with other processes that build, read and switch."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
WORKERS = Path(__file__).with_name("generation_workers.py")
sys.path[:0] = [str(TESTS / "unit"), str(WORKERS.parent)]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/bank.db"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def start(url: str, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a worker on the same stores; it is killed at the end if it still runs."""
    started: list[subprocess.Popen[str]] = []
    path = os.pathsep.join(map(str, [TESTS.parent / "src", TESTS / "unit", WORKERS.parent]))

    def run(task: str, *arguments: object, failpoints: str = "") -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(WORKERS), task, url, *map(str, arguments)],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": path, "DIPTYCH_FAILPOINTS": failpoints},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()
