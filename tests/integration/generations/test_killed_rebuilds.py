"""Processes that build or rebuild are killed at random moments, again and again."""

from __future__ import annotations

import asyncio
import os
import random
from typing import Any

import pytest
from banking import BANK, Balances, Deposit, Richest

from diptych import App
from diptych.sync.terms import read_terms

KILLS = int(os.environ.get("REBUILD_KILLS", "3"))
EVENTS = 6_000


async def filled(url: str) -> App:
    app = await App("bank", BANK, write=url).open()
    for _ in range(EVENTS // 500):
        await asyncio.gather(*(app.dispatch(Deposit("abcdefgh"[nth % 8], 1)) for nth in range(500)))
    await app.settle(60)
    return app


async def killed_at(process: Any, done: int) -> int:
    """Kill a process once it says that it has come so far; how far it said it was."""
    last = 0
    while line := await asyncio.to_thread(process.stdout.readline):
        if line.strip().isdigit():
            last = int(line)
        if line == "built\n" or last >= done:
            break
    process.kill()
    process.wait()
    return last


@pytest.mark.timeout(300)
async def test_f32_a_build_that_is_killed_goes_on_and_touches_nothing_that_is_read(url, start):
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201
    chance = random.Random(seed)
    app = await filled(url)
    source = app.sources[Balances]
    before = await app.ask(Richest())
    stood = 0
    for _ in range(KILLS):
        await killed_at(start("build", EVENTS), chance.randrange(1, EVENTS // 2))
        assert await app.ask(Richest()) == before
        assert source.plan.name == "balances"
        [read, built] = await app.generations(Balances).list()
        assert (read.role, built.role, read.position) == ("served", "building", EVENTS)
        assert built.position >= stood, "it began again"
        stood = built.position
    last = start("build")
    out, _ = await asyncio.to_thread(last.communicate, None, 60)
    assert out.splitlines()[-1] == "built"
    generations = app.generations(Balances)
    assert (await generations.compare()).same
    await generations.switch()
    assert (await app.verify()).ok
    await app.close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("runs", [False, True], ids=["alone", "beside a runner"])
async def test_f32_a_rebuild_in_place_that_is_killed_goes_on(runs, url, start):
    """By itself where a runner runs; else when it is started again."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201
    chance = random.Random(seed)
    app = await filled(url)
    if not runs:
        await app.close()
        await app.open(projections=False)
    store = app.sources[Balances].store
    stood = 0
    for _ in range(KILLS):
        said = await killed_at(start("rebuild", EVENTS), chance.randrange(1, EVENTS - 2_000))
        found = await store.checkpoint("balances")
        assert found.position >= stood or runs, "it began again"
        assert found.position >= said
        # One that had ended before it was killed has let go, and the next begins again.
        stood = found.position if read_terms(found.lease).owner else 0
    if not runs:
        last = start("rebuild")
        out, _ = await asyncio.to_thread(last.communicate, None, 60)
        assert out.splitlines()[-1] == "built"
    await app.settle(60)
    assert (await app.verify()).ok
    assert sum(row.balance for row in await app.ask(Richest())) == EVENTS
    await app.close()
