"""Who waits for which projection is woken when it arrives, and never by looking again."""

import asyncio

import pytest

from diptych.environment import Environment
from diptych.queries.wait import Arrivals
from diptych.testing import for_each_seed


async def test_everybody_who_waited_for_no_more_is_woken():
    arrivals = Arrivals()
    waits = [asyncio.create_task(arrivals.wait("p", n, 5)) for n in (3, 1, 2, 9)]
    await asyncio.sleep(0)
    assert arrivals.anybody_waiting()
    arrivals.arrive("p", 3)
    assert await asyncio.gather(*waits[:3]) == [True, True, True]
    arrivals.stop("p", "it broke")
    assert await waits[3] is False
    assert arrivals.trouble("p") == "it broke"
    assert await arrivals.wait("p", 9, 5) is False
    arrivals.arrive("p", 9)
    assert arrivals.trouble("p") == ""
    assert await arrivals.wait("p", 9, 5) is True
    assert not arrivals.anybody_waiting()


async def test_who_gives_up_or_is_cancelled_leaves_nothing_behind():
    arrivals = Arrivals()
    assert await arrivals.wait("p", 1, 0) is False
    assert await arrivals.wait("p", 1, 0.001) is False
    task = asyncio.create_task(arrivals.wait("p", 1, 60))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not arrivals.anybody_waiting()


async def test_a_runner_is_told_when_somebody_begins_to_wait():
    arrivals, hurry = Arrivals(), asyncio.Event()
    arrivals.call_when_waiting(hurry)
    task = asyncio.create_task(arrivals.wait("p", 1, 5))
    await hurry.wait()
    arrivals.arrive("p", 1)
    assert await task


def test_no_time_passes_between_an_arrival_and_the_answer():
    async def main(environment: Environment) -> None:
        arrivals, loop = Arrivals(), asyncio.get_running_loop()
        waiting = asyncio.create_task(arrivals.wait("p", 1, 5))
        await environment.sleep(0.97 + environment.random.random())
        arrived_s = loop.time()  # virtual: only a step, or somebody who sleeps, lets it go on
        arrivals.arrive("p", 1)
        assert await waiting
        assert loop.time() - arrived_s < 0.01, "it slept before it looked"

    for_each_seed(main, range(5))


def test_the_progress_of_another_projection_satisfies_nobody():
    async def main(environment: Environment) -> None:
        arrivals = Arrivals()
        arrivals.arrive("ahead", 7)
        assert not await arrivals.wait("behind", 7, 1)
        waiting = asyncio.create_task(arrivals.wait("behind", 9, 2))
        await environment.sleep(1)
        arrivals.arrive("ahead", 9)
        assert not await waiting
        assert arrivals.reached("behind") == 0

    for_each_seed(main, range(5))


def test_a_projection_that_stands_still_holds_up_nobody_elses_wait():
    async def main(environment: Environment) -> None:
        arrivals = Arrivals()
        arrivals.arrive("stuck", 1)
        arrivals.stop("broken", "it broke")
        arrivals.arrive("moves", 7)
        assert await arrivals.wait("moves", 7, 1)
        waiting = asyncio.create_task(arrivals.wait("moves", 8, 2))
        await environment.sleep(1)
        arrivals.arrive("moves", 8)
        assert await waiting

    for_each_seed(main, range(5))
