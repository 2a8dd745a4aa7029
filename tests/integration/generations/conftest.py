"""One application on SQLite and on PostgreSQL, with other processes that build, read and switch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.processes import SRC, UNIT, Processes, importing_from

WORKERS = Path(__file__).with_name("generation_workers.py")
sys.path.insert(0, str(WORKERS.parent))


@pytest.fixture
def start(processes: Processes, url: str, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start a worker on the same stores."""
    environment = importing_from(SRC, UNIT, WORKERS.parent)

    def run(task: str, *arguments: object, failpoints: str = "") -> subprocess.Popen[str]:
        return processes.start(
            WORKERS,
            task,
            url,
            *arguments,
            cwd=tmp_path,
            env=environment | {"DIPTYCH_FAILPOINTS": failpoints},
            stdin=subprocess.PIPE,
        )

    return run
