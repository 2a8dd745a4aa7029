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
from banking import Account, Richest
from failpoint_workers import PARTS, UNBEARABLE, Warily, arrived, commands
from test_killed_processes import amounts_per_type
from workers import dispatch_all

from diptych import App
from diptych.failpoints import POINTS

WORKER = Path(__file__).with_name("failpoint_workers.py")
LATEST = {"command": 40, "append": 5, "runner": 3, "lease": 2}
"""Up to which time a point is armed: that often it is surely reached."""
RUNS = int(os.environ.get("FAILPOINT_RUNS", "1"))


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/bank.db"
    return request.getfixturevalue("postgres_url")


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


async def check_once(app: App, heard: dict[str, str], seed: int) -> None:
    todo = commands(str(seed))
    answers = await dispatch_all(app, todo)
    assert heard.items() <= answers.items(), "another answer to the same id"
    counted = await amounts_per_type(app)
    assert set(counted.values()) == {1}, "an effect twice"
    accepted = {todo[one].amount for one, text in answers.items() if text.startswith("yes")}
    assert {amount for _, amount in counted} == accepted
    await arrived(app)
    await check_rows(app)


async def check_rows(app: App) -> None:
    rows = {row.account_id: row.balance for row in await app.ask(Richest())}
    assert rows == {name: (await app.load(Account, name)).balance for name in rows}


async def check_parked(app: App) -> None:
    """What cannot be borne and all that follows it in its row is parked; the rest is folded."""
    amounts: dict[str, list[int]] = {}
    parked: list[tuple[str, int, str]] = []
    for one in await app.log.read(0, 100_000):
        facts = json.loads(one.data)
        key, sign = facts["account_id"], 1 if one.type == "Deposited" else -1
        first = facts["amount"] == UNBEARABLE
        if first or key in {each[0] for each in parked}:
            parked.append((key, one.position, "failed" if first else "follows"))
        else:
            amounts.setdefault(key, []).append(sign * facts["amount"])
    store = app.sources[Warily].store
    found = [(one.key, one.position, one.because) for one in await store.parked("warily")]
    assert found == parked
    rows = (await store.load("warily", list("abcde"))).rows
    assert {key: row.value.amounts for key, row in rows.items()} == amounts


@pytest.mark.timeout(60 * RUNS)
@pytest.mark.parametrize("point", POINTS)
async def test_f01_f25_a_process_killed_between_two_steps_leaves_every_effect_once(
    point, url, environment, chance
):
    for _ in range(RUNS):
        seed = chance.randrange(1000)
        nth = 1 if "park" in point else chance.randint(1, LATEST[point.partition(".")[0]])
        heard = killed_at(point, nth, url, seed, environment)
        print(f"{point} at time {nth}, {len(heard)} answers were heard, seed {seed}")  # noqa: T201
        async with App("bank", PARTS, write=url) as app:
            await check_once(app, heard, seed)
            await check_parked(app)
