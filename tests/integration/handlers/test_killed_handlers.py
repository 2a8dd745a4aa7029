"""Processes that run an event handler are killed, or end: others go on from its mark."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.processes import SRC, UNIT, Processes, importing_from

WORKERS = Path(__file__).with_name("handler_workers.py")
sys.path.insert(0, str(WORKERS.parent))

KILLS = int(os.environ.get("HANDLER_KILLS", "3"))


@pytest.fixture
def start(processes: Processes, url: str, tmp_path: Path) -> Callable[[], subprocess.Popen[str]]:
    environment = importing_from(SRC, UNIT, WORKERS.parent)

    def run() -> subprocess.Popen[str]:
        process = processes.start(WORKERS, url, tmp_path / "sent", env=environment)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    return run


async def until(condition: Callable[[], Any], what: str, within_s: float = 30) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while True:
        if condition():
            return
        assert loop.time() < deadline, f"waited {within_s} s for {what}"
        await asyncio.sleep(0.005)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", ["killed", "ended"])
async def test_f34_each_event_is_sent_but_for_those_in_flight_once(how, url, start, tmp_path):
    from banking import BANK, Balances, Deposit
    from handler_workers import bank

    from diptych import App, Envelope

    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201
    chance = random.Random(seed)
    sent = tmp_path / "sent"
    await (await bank(url, str(sent)).open(projections=False)).close()  # it begins here

    def lines() -> list[str]:
        return sent.read_text().split()

    async with App("bank", BANK, write=url) as app:
        stays = start()
        for turn in range(KILLS):
            goes = stays
            stays = start()
            for _ in range(100):
                await app.dispatch(Deposit("abc"[turn % 3], 1))
            at = 100 * turn + chance.randrange(1, 90)
            await until(lambda at=at: len(lines()) > at, "mails")
            goes.send_signal(signal.SIGKILL if how == "killed" else signal.SIGTERM)
            await asyncio.to_thread(goes.wait, 20)
            if turn == 1:
                await app.rebuild(Balances)
            await until(lambda events=100 * (turn + 1): len(set(lines())) == events, "the rest")
        stored = await app.log.read(0, 10_000)
    ids = [Envelope(None, one).event_id for one in stored]
    assert set(lines()) == set(ids)
    again = len(lines()) - len(ids)
    assert 0 <= again <= (KILLS if how == "killed" else 0), f"{again} were sent again"
    first = list(dict.fromkeys(lines()))
    assert first == ids, "out of order"
