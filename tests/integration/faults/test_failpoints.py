"""kill -9 at every step of a command, of a projection and of a lease: faults F01 and F25.

Whatever the step, who sends the list again gets the answers it had got, every effect is there once,
and rows are what the log says.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from failpoint_checks import check_once, check_parked
from failpoint_workers import PARTS

from diptych import App
from diptych.failpoints import POINTS

WORKER = Path(__file__).with_name("failpoint_workers.py")
LATEST = {"command": 40, "append": 5, "runner": 3, "lease": 2}
"""Up to which time a point is armed: that often it is surely reached."""
RUNS = int(os.environ.get("FAILPOINT_RUNS", "1"))


@pytest.fixture
def url(store_url):
    return store_url


def killed_at(point: str, nth: int, url: str, seed: int, environment) -> dict[str, str]:
    """The answers that were heard until it died there."""
    done = subprocess.run(
        [sys.executable, str(WORKER), url, str(seed)],
        env=environment | {"DIPTYCH_FAILPOINTS": f"{point}=kill:{nth}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == -signal.SIGKILL, f"{point} was never reached: {done.stderr}"
    return dict(json.loads(line) for line in done.stdout.splitlines())


@pytest.mark.parametrize("run", range(RUNS))
@pytest.mark.parametrize("point", POINTS)
async def test_f01_f25_a_process_killed_between_two_steps_leaves_every_effect_once(
    point, run, url, environment, chance
):
    seed = chance.randrange(1000)
    nth = 1 if "park" in point else chance.randint(1, LATEST.get(point.partition(".")[0], 1))
    heard = killed_at(point, nth, url, seed, environment)
    print(f"{point} at time {nth}, {len(heard)} answers were heard, seed {seed}")  # noqa: T201
    async with App("bank", PARTS, write=url) as app:
        await check_once(app, heard, seed)
        await check_parked(app)
