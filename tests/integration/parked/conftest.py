"""Poisoned events on real stores, and other processes that run, write, retry and die."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.processes import SRC, UNIT, Processes, importing_from

WORKERS = Path(__file__).with_name("parked_workers.py")
sys.path.insert(0, str(WORKERS.parent))


@pytest.fixture(autouse=True)
def _nothing_is_bad() -> Iterator[None]:
    from poison import BAD

    BAD.clear()
    yield
    BAD.clear()


@pytest.fixture
def start(processes: Processes) -> Callable[..., subprocess.Popen[str]]:
    """Start a task of parked_workers.py."""
    environment = importing_from(SRC, UNIT) | {"PYTHONWARNINGS": "error"}

    def run(task: str, *arguments: object) -> subprocess.Popen[str]:
        return processes.start(
            WORKERS,
            task,
            *arguments,
            env=environment,
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    return run
