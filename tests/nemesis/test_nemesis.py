"""Real processes on a file and on a server, under a nemesis with a seed: whatever it does, every
promise holds. `NEMESIS_SEED` and `NEMESIS_SECONDS` repeat a run or make it long.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from pathlib import Path

import pytest
from tests.nemesis.stages import STAGES

from services.problem import ServiceProblem
from services.pytest_plugin import missing

SECONDS = float(os.environ.get("NEMESIS_SECONDS", "12"))
DONE = ("accept", "row", "begin", "kill", "stop")
"""What must have happened, for a run to prove anything."""


@pytest.mark.timeout(240 + 2 * SECONDS)
@pytest.mark.parametrize("store", list(STAGES))
async def test_whatever_a_nemesis_does_to_processes_and_stores_every_promise_holds(store):
    seed = int(os.environ.get("NEMESIS_SEED") or random.SystemRandom().randrange(2**32))
    folder = Path(tempfile.mkdtemp(prefix=f"nemesis-{store}-"))
    print(f"NEMESIS_SEED={seed}, histories in {folder}")  # noqa: T201  it must be repeatable
    try:
        with STAGES[store](folder, seed) as run:
            checked = await run.run(SECONDS)
    except ServiceProblem as problem:
        missing("postgres", str(problem))
    assert checked.complaints == []
    assert all(checked.counts[one] for one in DONE), checked.counts
    shutil.rmtree(folder)
