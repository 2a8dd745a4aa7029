"""The bank on an SQLite file, and `diptych` as a real process."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.processes import SRC, UNIT, Processes, importing_from

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
    ours = importing_from(SRC, UNIT)
    kept = {k: v for k, v in ours.items() if k not in ("COLUMNS", "FORCE_COLOR")}
    return kept | {"DIPTYCH_APP": "bankapp:app", "PYTHONWARNINGS": "error"}


@pytest.fixture
def start(processes: Processes, folder: Path, environment: dict[str, str]) -> Start:
    """Start `diptych` with these arguments."""

    def run(*args: str, **options: Any) -> subprocess.Popen[str]:
        return processes.start(
            "-m",
            "diptych.cli",
            *args,
            cwd=folder,
            env=environment | options.pop("env", {}),
            stdin=options.pop("stdin", subprocess.DEVNULL),
            stderr=subprocess.PIPE,
        )

    return run


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
