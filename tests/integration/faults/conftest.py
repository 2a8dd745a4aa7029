"""The bank on a file, `diptych` and other processes, and a disk that fills up or is read-only."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.processes import SRC, UNIT, Processes, importing_from

WORKERS = Path(__file__).with_name("workers.py")
sys.path.insert(0, str(WORKERS.parent))

BANKAPP = """
from banking import BANK
from diptych import App

app = App("bank", BANK, write="sqlite:///bank.db")
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/bank.db"


@pytest.fixture
def chance() -> random.Random:
    """Chance whose seed is printed; `FAULT_SEED` replays it."""
    seed = int(os.environ.get("FAULT_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"FAULT_SEED={seed}")  # noqa: T201  a failure must be repeatable
    return random.Random(seed)


@pytest.fixture
def environment() -> dict[str, str]:
    more = {"PYTHONWARNINGS": "error", "DIPTYCH_APP": "bankapp:app"}
    return importing_from(SRC, UNIT) | more


@pytest.fixture
def start(
    processes: Processes, environment: dict[str, str]
) -> Callable[..., subprocess.Popen[str]]:
    """Start a task of workers.py."""

    def run(task: str, *arguments: object) -> subprocess.Popen[str]:
        return processes.start(WORKERS, task, *arguments, env=environment, stdin=subprocess.PIPE)

    return run


@pytest.fixture
def diptych(tmp_path: Path, environment: dict[str, str]) -> Callable[..., Any]:
    """Run `diptych --json` beside `bank.db`: exit code, stdout's lines of JSON, and stderr."""
    (tmp_path / "bankapp.py").write_text(BANKAPP)

    def run(*arguments: str, stdin: str = "") -> tuple[int, Any, str]:
        done = subprocess.run(
            [sys.executable, "-m", "diptych.cli", *arguments, "--json"],
            cwd=tmp_path,
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )
        said = [json.loads(line) for line in done.stdout.splitlines()]
        return done.returncode, said, done.stderr

    return run


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a megabyte and a half of its own."""
    folder = tmp_path / "small"
    folder.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", "size=1536k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(options, check=False, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command to make a small disk with")
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def make_read_only(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    """Makes a mounted folder read-only, even for root."""

    def make(folder: Path) -> None:
        command = ["mount", "-o", "remount,ro", str(folder)]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            pytest.skip("the disk cannot be made read-only")

    return make
