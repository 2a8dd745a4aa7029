"""A bank for the command line, kept in memory from one command to the next."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from diptych.adapters.memory.event_log import MemoryEventLog
from diptych.adapters.memory.read_store import MemoryReadStore
from diptych.cli.command_line import command_line

BANK = """
from banking import BANK
from diptych import App, Query


class Fail(Query[int]):
    pass


def fail(query: Fail) -> int:
    raise ZeroDivisionError("one by none")


class Screen(Query[list[dict]]):
    pass


def screen(query: Screen) -> list[dict]:
    return [{"name": "\\x1b[31mred [bold]x", "nested": {"a": [1, None]}, "none": None}]


app = App("bank", [*BANK, fail, screen])


def make():
    return app
"""

Cli = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, empty; what is imported from it is forgotten again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delenv("DIPTYCH_APP", raising=False)
    for name in ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        module = sys.modules[name]
        if str(tmp_path) in str(getattr(module, "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def bank(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bank is the application; its memory does not forget when a command ends."""
    (folder / "bankapp.py").write_text(BANK)
    monkeypatch.setenv("DIPTYCH_APP", "bankapp:app")

    async def stay_open(self: Any) -> None:
        pass

    monkeypatch.setattr(MemoryEventLog, "close", stay_open)
    monkeypatch.setattr(MemoryReadStore, "close", stay_open)


@pytest.fixture
def cli() -> Cli:
    """Run `diptych` with these arguments."""

    def run(*args: str, stdin: str | bytes | None = None) -> Result:
        result = CliRunner().invoke(command_line, list(args), input=stdin, prog_name="diptych")
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return run


@pytest.fixture
def ask_json(cli: Cli) -> Callable[..., Any]:
    """Run with `--json`, and give what stands on stdout with the exit code."""

    def run(*args: str, stdin: str | bytes | None = None) -> tuple[int, Any]:
        result = cli(*args, "--json", stdin=stdin)
        return result.exit_code, json.loads(result.stdout)

    return run


@pytest.fixture
def deposit(cli: Cli, bank: None) -> Callable[[str, int], None]:
    """Put money in."""

    def run(account: str, amount: int) -> None:
        data = json.dumps({"account_id": account, "amount": amount})
        assert cli("dispatch", "Deposit", data).exit_code == 0

    return run
