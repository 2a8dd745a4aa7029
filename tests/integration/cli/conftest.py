"""The bank on an SQLite file, and `diptych` as a real process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
BANK = """
import os

from banking import BANK
from diptych import App

app = App("bank", BANK, write="sqlite:///bank.db", read=os.environ.get("BANK_READ"))
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the bank and its file are."""
    (tmp_path / "bankapp.py").write_text(BANK)
    return tmp_path


@pytest.fixture
def environment(folder: Path) -> dict[str, str]:
    """What the processes are started with."""
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests" / "unit")])
    kept = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "FORCE_COLOR")}
    return {**kept, "PYTHONPATH": path, "DIPTYCH_APP": "bankapp:app", "PYTHONWARNINGS": "error"}


@pytest.fixture
def start(folder: Path, environment: dict[str, str]) -> Iterator[Start]:
    """Start `diptych` with these arguments; it is killed at the end if it still runs."""
    started: list[subprocess.Popen[str]] = []

    def run(*args: str, **options: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "diptych.cli", *args],
            cwd=folder,
            env=environment | options.pop("env", {}),
            stdin=options.pop("stdin", subprocess.DEVNULL),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def diptych(start: Start) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `diptych` to its end."""

    def run(*args: str, stdin: str | None = None, **options: Any) -> Any:
        pipe = {} if stdin is None else {"stdin": subprocess.PIPE}
        process = start(*args, **pipe, **options)
        stdout, stderr = process.communicate(stdin, timeout=30)
        return subprocess.CompletedProcess(args, process.returncode, stdout, stderr)

    return run


@pytest.fixture
def deposits(diptych: Any) -> Callable[..., None]:
    """Put `amount` into account `a`, `times` times."""

    def run(times: int, amount: int = 1) -> None:
        line = json.dumps({"type": "Deposit", "data": {"account_id": "a", "amount": amount}})
        done = diptych("dispatch", "-", stdin=(line + "\n") * times)
        assert done.returncode == 0, done.stderr

    return run
