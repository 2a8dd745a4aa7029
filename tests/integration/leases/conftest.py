"""One application, run by several processes on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
WORKERS = Path(__file__).with_name("lease_workers.py")
sys.path[:0] = [str(TESTS / "unit"), str(WORKERS.parent)]

BANKAPP = """
from lease_workers import PARTS
from diptych import App

app = App("bank", PARTS, write={url!r})
"""


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/bank.db"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
async def bank(url: str) -> AsyncIterator[object]:
    from lease_bank import Bank
    from lease_workers import PARTS

    from diptych import App

    app = await App("bank", PARTS, write=url).open(projections=False)
    yield Bank(app)
    await app.close()


@pytest.fixture
def start(url: str, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a worker on the same stores, ready to run; it is killed at the end if it still runs."""
    started: list[subprocess.Popen[str]] = []
    path = os.pathsep.join(map(str, [TESTS.parent / "src", TESTS / "unit", WORKERS.parent]))
    (tmp_path / "bankapp.py").write_text(BANKAPP.format(url=url))

    def run(*arguments: object, failpoints: str = "", cli: bool = False) -> subprocess.Popen[str]:
        command = [str(WORKERS), "run", url, *map(str, arguments)]
        if cli:
            command = ["-m", "diptych.cli", "projections", "run", "--app", "bankapp:app"]
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": path, "DIPTYCH_FAILPOINTS": failpoints},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if cli else None,
            text=True,
        )
        started.append(process)
        if not cli and not failpoints:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()
