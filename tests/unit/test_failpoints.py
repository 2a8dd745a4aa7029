"""Failpoints: nothing where nothing is armed, and exactly what was armed elsewhere."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading

import pytest

from diptych.errors import ConfigurationError, StoreUnavailable
from diptych.failpoints import POINTS, Armed, arm, arm_all, armed, failpoint, failpoint_here

LOAD, APPLY = "command.before_load", "runner.before_apply"


def test_a_point_that_is_not_armed_does_nothing():
    assert armed == {}
    for point in POINTS:
        failpoint_here(point)


async def test_what_is_armed_is_gone_after_its_block_even_when_that_fails():
    with arm(APPLY, "sleep"):
        with pytest.raises(StoreUnavailable), arm(LOAD, "raise"):
            await failpoint(LOAD)
        assert list(armed) == [APPLY]
    assert armed == {}


@pytest.mark.parametrize(
    ("nth", "again", "raised"),
    [(1, False, [1]), (3, False, [3]), (1, True, [1, 2, 3, 4, 5, 6]), (2, True, [2, 4, 6])],
)
async def test_it_happens_at_the_nth_time_once_or_at_every_nth(nth, again, raised):
    with arm(LOAD, "raise", nth=nth, again=again, error=KeyError("mine")) as point:
        seen = []
        for time in range(1, 7):
            try:
                await failpoint(LOAD)
            except KeyError:
                seen.append(time)
            await failpoint(APPLY)
    assert seen == raised
    assert (point.reached, point.done) == (6, len(raised))


async def test_only_times_whose_facts_are_liked_are_counted():
    with arm(LOAD, "raise", nth=2, when=lambda facts: facts["amount"] == 13) as point:
        for amount in (13, 1, 2, 3):
            await failpoint(LOAD, amount=amount)
        with pytest.raises(StoreUnavailable, match=LOAD):
            await failpoint(LOAD, amount=13)
    assert point.reached == 2


async def test_who_pauses_goes_on_when_released_and_others_run_meanwhile():
    with arm(LOAD, "pause") as point:
        paused = asyncio.create_task(failpoint(LOAD))
        while not point.done:  # noqa: ASYNC110  it tells nobody
            await asyncio.sleep(0)
        assert not paused.done()
        point.release()
        await paused


def test_a_thread_that_pauses_goes_on_when_released():
    with arm(LOAD, "pause") as point:
        thread = threading.Thread(target=failpoint_here, args=(LOAD,))
        thread.start()
        while not point.done:
            pass
        assert thread.is_alive()
        point.release()
        thread.join(10)
        assert not thread.is_alive()


async def test_sleeping_takes_its_time_in_both_roads():
    with arm(LOAD, "sleep", seconds=0.0001, again=True) as point:
        failpoint_here(LOAD)
        await failpoint(LOAD)
    assert point.done == 2


@pytest.mark.parametrize(
    "text",
    [
        "nowhere=kill",
        f"{LOAD}=explode",
        f"{LOAD}=kill:often",
        f"{LOAD}=kill:0",
        f"{LOAD}=sleep long",
        LOAD,
        "append.after_commit=raise",
    ],
)
def test_what_cannot_be_armed_is_refused(text):
    with pytest.raises(ConfigurationError):
        arm_all(text)
    assert armed == {}


def test_a_point_says_what_it_cannot_do():
    with pytest.raises(ConfigurationError, match=r"only command\.before_load"):
        Armed("nowhere", "kill")


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        (f"{LOAD}=kill:2", -signal.SIGKILL),
        (f"{LOAD}=kill:*3", -signal.SIGKILL),
        (f" {APPLY}=sleep 0.001:*1 ; {LOAD}=kill", -signal.SIGKILL),
        (f"{LOAD}=kill:5", 0),
        ("", 0),
    ],
)
def test_the_environment_variable_arms_another_process(text, ends):
    program = f"from diptych.failpoints import *; [failpoint_here({LOAD!r}) for _ in range(4)]"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"DIPTYCH_FAILPOINTS": text, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
        capture_output=True,
        timeout=50,
    )
    assert done.returncode == ends, done.stderr
    assert (b"is armed" in done.stderr) == bool(text)
