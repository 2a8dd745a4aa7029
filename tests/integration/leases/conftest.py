"""One application, run by several processes on SQLite and on PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.processes import SRC, UNIT, Processes, importing_from

WORKERS = Path(__file__).with_name("lease_workers.py")
sys.path.insert(0, str(WORKERS.parent))

BANKAPP = """
from lease_workers import PARTS
from diptych import App

app = App("bank", PARTS, write={url!r})
"""


@pytest.fixture
async def bank(url: str) -> AsyncIterator[object]:
    from lease_bank import Bank
    from lease_workers import PARTS

    from diptych import App

    app = await App("bank", PARTS, write=url).open(projections=False)
    yield Bank(app)
    await app.close()


@pytest.fixture
def start(processes: Processes, url: str, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start a worker on the same stores, ready to run."""
    environment = importing_from(SRC, UNIT, WORKERS.parent)
    (tmp_path / "bankapp.py").write_text(BANKAPP.format(url=url))

    def run(*arguments: object, failpoints: str = "", cli: bool = False) -> subprocess.Popen[str]:
        command = [WORKERS, "run", url, *arguments]
        if cli:
            command = ["-m", "diptych.cli", "projections", "run", "--app", "bankapp:app"]
        process = processes.start(
            *command,
            cwd=tmp_path,
            env=environment | {"DIPTYCH_FAILPOINTS": failpoints},
            stderr=subprocess.PIPE if cli else None,
        )
        if not cli and not failpoints:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        return process

    return run
