"""Every story is told on both databases; the shop is in `orm_shop.py`."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from tests.processes import Processes

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/shop.db"
    url: str = request.getfixturevalue("postgres_url")
    return f"{url}&search_path={url.rpartition('schema=')[2]}"


@pytest.fixture
async def url(empty_url: str) -> str:
    """A database with the shop's tables and an empty log."""
    from orm_shop import prepare

    await prepare(empty_url)
    return empty_url


@pytest.fixture
def chance() -> random.Random:
    """Chance whose seed is printed; `FAULT_SEED` replays it."""
    seed = int(os.environ.get("FAULT_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"FAULT_SEED={seed}")  # noqa: T201  a failure must be repeatable
    return random.Random(seed)


@pytest.fixture
def start(processes: Processes) -> Callable[..., subprocess.Popen[str]]:
    """Start `orm_workers.py <task> <arguments>` in a process of its own."""
    return partial(processes.start, HERE / "orm_workers.py")
