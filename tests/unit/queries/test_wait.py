"""Who waits for which projection is woken when it arrives, and never by looking again."""

import asyncio

import pytest

from diptych.queries.wait import Arrivals


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
