"""Stories that are told on every kind of real store."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database for log and read models: a file, and a schema of its own in PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/bank.db"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def url(store_url: str) -> str:
    """The database of the test; some folders have a `url` of their own."""
    return store_url
