"""Generations of rows while commands and readers go on, in this process and in others."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections import Counter
from typing import Any

import pytest
from banking import BANK, Balances, Deposit, GetBalance
from generation_workers import NEW, GetSum, NewBalances

from diptych import App
from diptych.errors import ConfigurationError

TIMES = int(os.environ.get("SWITCHES", "4"))
"""How often is switched, there and back; 25 for what the fault list asks."""

ACCOUNTS = "abcdefgh"


async def load(app: App, put_in: Counter[str], stop: asyncio.Event, per_s: float) -> None:
    began, done = time.monotonic(), 0
    while not stop.is_set():
        due = int((time.monotonic() - began) * per_s) - done
        await asyncio.gather(*(deposit(app, put_in, done + nth) for nth in range(min(due, 50))))
        done += min(due, 50)
        await asyncio.sleep(0.002)


async def deposit(app: App, put_in: Counter[str], nth: int) -> None:
    account = ACCOUNTS[nth % len(ACCOUNTS)]
    await app.dispatch(Deposit(account, 1))
    put_in[account] += 1


async def some_more(put_in: Counter[str], tasks: list[asyncio.Task[None]]) -> None:
    """Wait for so many events that others have nearly had time to notice a switch."""
    wanted = put_in.total() + 300
    while True:
        if put_in.total() >= wanted or [task for task in tasks if task.done()]:
            return
        await asyncio.sleep(0.005)


async def read(app: App, put_in: Counter[str], stop: asyncio.Event, reads: list[int]) -> None:
    seen: Counter[str] = Counter()
    while not stop.is_set():
        account = ACCOUNTS[len(reads) % len(ACCOUNTS)]
        least, token = put_in[account], await app.head_token()
        asks_for_it = len(reads) % 3 != 0
        row: Any = await app.ask(
            GetBalance(account), after=token if asks_for_it else None, within_s=20
        )
        balance = row.balance if row is not None else 0
        assert balance >= seen[account], f"time went back: {seen[account]} -> {balance}"
        assert balance >= least or not asks_for_it, f"{balance} is older than its token: {least}"
        seen[account] = balance
        reads.append(1)
        await asyncio.sleep(0.001)  # a small read of SQLite awaits nothing


@pytest.mark.timeout(300)
async def test_f33_no_session_sees_time_go_back_while_rows_are_switched(url, start):
    put_in: Counter[str] = Counter()
    stop, reads = asyncio.Event(), []
    async with App("bank", BANK, write=url) as app:
        await app.dispatch(Deposit("a", 1))
        put_in["a"] += 1
        other = start("read", ACCOUNTS)
        assert await asyncio.to_thread(other.stdout.readline) == "ready\n"
        tasks = [asyncio.create_task(read(app, put_in, stop, reads)) for _ in range(4)]
        tasks.append(asyncio.create_task(load(app, put_in, stop, 1_000)))
        generations = app.generations(Balances)
        began = time.monotonic()
        await generations.build()
        for _ in range(TIMES):
            await generations.switch()
            roles = {one.role: one.position for one in await generations.list()}
            assert roles["served"] >= roles["kept"], "the new rows are behind the old ones"
            await some_more(put_in, tasks)
            await generations.switch_back()
            await some_more(put_in, tasks)
            assert not [task for task in tasks if task.done()]
        took = time.monotonic() - began
        await generations.switch()
        stop.set()
        await asyncio.gather(*tasks)
        said, _ = await asyncio.to_thread(other.communicate, "\n", 60)
        await app.settle(20)
        assert (await app.verify()).ok
    print(  # noqa: T201
        f"{url.partition(':')[0]}: {2 * TIMES} switches in {took:.1f} s, {sum(put_in.values())} "
        f"events, {len(reads)} reads here; elsewhere {said.strip()}"
    )
    assert len(reads) > 20
    assert "time went back" not in said
    assert int(said.split()[1]) > 10


def asked(process: subprocess.Popen[str], account: str) -> str:
    process.stdin.write(account + "\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


@pytest.mark.timeout(120)
async def test_f33_two_releases_serve_and_move_their_own_rows_side_by_side(url, start):
    first = start("old")
    assert first.stdout.readline() == "ready\n"
    async with App("bank", NEW, write=url) as app:
        for _ in range(20):
            await app.dispatch(Deposit("a", 1))
        [status] = await app.status()
        assert status.state == "changed"
        assert await asyncio.to_thread(asked, first, "a") == "balances 20"
        generations = app.generations(NewBalances)
        assert await generations.build() == "balances__1"
        await app.dispatch(Deposit("a", 1))
        assert not (await generations.compare([GetSum("a")])).same
        await generations.switch()
        await app.dispatch(Deposit("a", 1))
        row = await app.ask(GetSum("a"), after=await app.head_token(), within_s=20)
        assert (row.cents, row.moves) == (2200, 22)
        assert await asyncio.to_thread(asked, first, "a") == "balances 22"
        assert await generations.switch_back() == "balances"
        await app.dispatch(Deposit("a", 1))
        assert await asyncio.to_thread(asked, first, "a") == "balances 23"
        await generations.switch()
        first.kill()
        first.wait()
        assert await generations.drop() == ["balances"]
        await app.dispatch(Deposit("a", 1))
        await app.settle(20)
        row = await app.ask(GetSum("a"))
        assert (row.cents, row.moves) == (2400, 24)
        assert (await app.verify()).ok


async def test_either_release_switches_back_in_a_process_that_opened_only_its_own_rows(url):
    async with App("bank", BANK, write=url) as app:
        await app.dispatch(Deposit("a", 1))
        await app.settle(20)
    async with App("bank", NEW, write=url) as app:
        await app.generations(NewBalances).build()
        await app.generations(NewBalances).switch()
    for release in (NEW, BANK):  # either is started anew, as `diptych` is
        app = App("bank", release, write=url)
        await app.open(projections=False)
        assert await app.generations("balances").switch_back() == "balances"
        await app.close()
        async with App("bank", NEW, write=url) as app:
            await app.generations(NewBalances).switch()
    async with App("bank", NEW, write=url) as app:
        row = await app.ask(GetSum("a"), after=await app.head_token(), within_s=20)
        assert row.cents == 100


STEPS = [
    *(f"lease.before_swap=kill:{nth}" for nth in (1, 2, 3, 4)),
    *(f"lease.after_swap=kill:{nth}" for nth in (1, 2, 3, 4)),
]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("step", STEPS)
async def test_f33_a_switch_that_dies_between_two_steps_leaves_one_read(step, url, start):
    async with App("bank", BANK, write=url) as app:
        for account in ACCOUNTS:
            await app.dispatch(Deposit(account, 1))
        generations = app.generations(Balances)
        await generations.build()
        await app.dispatch(Deposit("a", 1))
        killed = start("switch", failpoints=step)
        assert await asyncio.to_thread(killed.wait, 60) == -9
        roles = [one.role for one in await generations.list()]
        assert roles in (["served", "building"], ["kept", "served"]), roles
        await app.dispatch(Deposit("a", 1))
        if roles == ["served", "building"]:
            await generations.switch()
        else:
            await generations.switch_back()
        row = await app.ask(GetBalance("a"), after=await app.head_token(), within_s=20)
        assert row.balance == 3
        await app.settle(20)
        assert (await app.verify()).ok
        await generations.drop()
        with pytest.raises(ConfigurationError):
            await generations.switch_back()
