"""Servers of a checkout that exists for one test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.__main__ import down
from services.account import Account
from services.postgres import binaries
from services.problem import ServiceProblem
from services.pytest_plugin import missing


@pytest.fixture(scope="session")
def found() -> binaries.Binaries:
    """PostgreSQL's programs; without them these tests do not run."""
    try:
        return binaries.find(Account.ordinary())
    except ServiceProblem as problem:
        missing("postgres", str(problem))


@pytest.fixture
def checkout(
    tmp_path: Path, found: binaries.Binaries, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A folder with servers of its own, which end with the test."""
    monkeypatch.delenv("DIPTYCH_POSTGRES", raising=False)
    monkeypatch.setenv("DIPTYCH_POSTGRES_BIN", str(found.folder))
    yield tmp_path
    down(tmp_path)
