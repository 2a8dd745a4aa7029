"""Processes that share projections are killed, stopped, ended and go on: others take over, and what
a stopped one still wants to write changes nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import subprocess
from typing import Any

import pytest
from banking import Balances, Deposit, Richest
from lease_bank import Bank, until

from diptych.events.log import ANY_VERSION, Append, EventToStore, StreamAppend
from diptych.sync.terms import read_terms

TIMES = int(os.environ.get("TAKE_OVERS", "2"))
"""How often each take-over is measured; 20 for the numbers in the docs."""


def report(what: str, took: list[float]) -> None:
    middle, longest = statistics.median(took), max(took)
    print(f"{what}: median {middle:.2f} s, at most {longest:.2f} s of {len(took)}")  # noqa: T201


async def taken_over(bank: Bank, gone: subprocess.Popen[str]) -> float:
    async def taken() -> bool:
        owners = set((await bank.owners()).values())
        return not owners & {gone.pid, 0}

    return await until(taken, "the other process to take over", 20)


def stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", ["killed", "ended", "stopped"])
async def test_f40_projections_of_a_process_that_is_gone_are_taken_over(how, bank, start, url):
    took: list[float] = []
    stays = start()
    for turn in range(TIMES):
        goes = start()
        await bank.shared_by(stays, goes)
        await bank.app.dispatch(Deposit("a", turn + 1))
        if how == "stopped":
            stop(goes)
        else:
            goes.kill() if how == "killed" else goes.terminate()
        took.append(await taken_over(bank, goes))
        await bank.app.dispatch(Deposit("b", turn + 1))
        await bank.check()
        goes.send_signal(signal.SIGCONT)
        if how == "stopped":
            goes.terminate()
        assert goes.wait(20) == (-signal.SIGKILL if how == "killed" else 0)
    report(f"{url.partition(':')[0]}, {how}", took)


def said(process: subprocess.Popen[str]) -> list[str]:
    out, _ = process.communicate(timeout=20)
    return out.split()


@pytest.mark.parametrize("how", ["fenced", "naive"])
async def test_f27_a_stopped_owner_that_goes_on_changes_nothing(how, bank, start):
    """The naive control shows what the fence prevents: the same story ends with wrong rows."""
    point = "runner.before_apply=stop:2"
    zombie = start("0", how if how == "naive" else "", failpoints=point)
    assert zombie.stdout.readline() == "ready\n"
    await bank.shared_by(zombie)
    await bank.app.dispatch(Deposit("a", 1))
    await bank.app.settle(10)
    await bank.app.dispatch(Deposit("a", 10))  # it has folded this when it is stopped
    await asyncio.to_thread(os.waitpid, zombie.pid, os.WUNTRACED)
    other = start()
    await bank.shared_by(other)
    await bank.app.dispatch(Deposit("a", 100))
    await bank.app.settle(10)
    before = await bank.standing()
    zombie.send_signal(signal.SIGCONT)
    if how == "naive":

        async def harmed() -> bool:
            return not (await bank.app.verify()).ok

        await until(harmed, "the rows to become wrong")
        return
    assert zombie.stdout.readline() == "lost\n", "its batch was not refused"
    after = await bank.standing()
    assert {name: info.position for name, info in after.items()} == {
        name: info.position for name, info in before.items()
    }
    await bank.app.dispatch(Deposit("a", 1000))
    await bank.check()
    assert [row.balance for row in await bank.app.ask(Richest())] == [1111]
    zombie.terminate()
    assert said(zombie)[-1] == "closed"


async def test_f13_wrong_clocks_steal_no_lease_and_change_no_order(bank, start):
    workers = [start(hours) for hours in (-2, 0, 2)]
    await bank.shared_by(*workers)
    epochs = {name: info.lease.epoch for name, info in (await bank.standing()).items()}
    answers: dict[str, set[str]] = {name: set() for name in epochs}

    async def asked_often() -> bool:
        await bank.app.dispatch(Deposit("a", 1))
        for name, info in (await bank.standing()).items():
            answers[name].add(read_terms(info.lease).answered)
        return all(len(each) > 5 for each in answers.values())

    await until(asked_often, "the holders to be asked, and to answer", 30)
    assert {name: info.lease.epoch for name, info in (await bank.standing()).items()} == epochs
    stored = await bank.app.log.read(0, 100_000)
    assert [one.position for one in stored] == list(range(1, len(stored) + 1))
    await bank.check()


async def load(bank: Bank, commands: list[int]) -> None:
    while True:
        await bank.app.dispatch(Deposit("abc"[len(commands) % 3], 1))
        commands.append(1)


@pytest.mark.parametrize("how", ["once", "twice", "then killed"])
async def test_f40_a_runner_that_is_ended_under_load_drops_nothing(how, bank, start):
    stays, goes = start(), start(cli=True)
    await bank.shared_by(stays, goes)
    commands: list[int] = []
    loading = asyncio.create_task(load(bank, commands))
    await until(lambda: as_async(len(commands) > 50), "some load")
    goes.terminate()
    if how == "twice":
        goes.terminate()
    elif how == "then killed":
        goes.kill()
    await taken_over(bank, goes)
    ended = await asyncio.to_thread(goes.wait, 20)
    assert ended == 0 or how != "once"
    loading.cancel()
    await asyncio.gather(loading, return_exceptions=True)
    await bank.check()
    rows = await bank.app.ask(Richest())
    assert sum(row.balance for row in rows) in {len(commands), len(commands) + 1}


async def as_async(value: Any) -> Any:
    return value


def from_a_newer_release(stream: str, type_: str, **facts: Any) -> Append:
    event = EventToStore(type_, 1, json.dumps(facts).encode(), b"{}", ())
    return Append((StreamAppend(stream, ANY_VERSION, (event,)),))


async def test_f40_old_code_parks_what_it_does_not_know_and_skips_nothing(bank, start):
    start("0", "old")
    first = await bank.app.dispatch(Deposit("a", 1))
    await bank.app.dispatch(Deposit("b", 1))
    append, store = bank.app.log.append, bank.app.sources[Balances].store
    await append(from_a_newer_release(first.stream, "AccountFrozen", account_id="a"))
    await append(from_a_newer_release(first.stream, "Deposited", account_id="a", amount=10))
    last = await bank.app.dispatch(Deposit("b", 10))

    async def arrived() -> bool:
        return (await store.checkpoint("balances")).position == last.token.position

    await until(arrived, "the old code to come to the end")
    waiting = [(one.position, one.because) for one in await store.parked("balances")]
    assert waiting == [(3, "failed"), (4, "follows")], "it skipped something"
    rows = {row.account_id: row.balance for row in await bank.app.ask(Richest())}
    assert rows == {"a": 1, "b": 11}
