"""kill -9 at random moments, and several processes that run the whole application on one file."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest
from banking import BANK, Account, Richest
from workers import OPTIONS, STREAMS, commands, dispatch_all

from diptych import App


async def amounts_per_type(app: App) -> Counter[tuple[str, int]]:
    stored = await app.log.read(0, 100_000)
    assert [one.position for one in stored] == list(range(1, len(stored) + 1))
    return Counter((one.type, json.loads(one.data)["amount"]) for one in stored)


@pytest.mark.parametrize("kind", list(OPTIONS))
async def test_f16_a_killed_process_that_starts_its_list_again_has_every_effect_once(
    kind, url, start, chance
):
    count, seed = 1_500, chance.randrange(1000)
    heard: dict[str, str] = {}
    for _ in range(4):
        process = start("work_off", url, kind, seed, count)
        stop_after = chance.randint(1, 500)
        lines = []
        while len(lines) < stop_after and (line := process.stdout.readline()):
            lines.append(line)
        await asyncio.sleep(chance.random() * 0.01)
        process.kill()
        rest, _ = process.communicate()
        for line in [*lines, *rest.splitlines()]:
            if not line.endswith(("]", "]\n")):
                continue  # cut off in the middle
            command_id, text = json.loads(line)
            assert heard.setdefault(command_id, text) == text, "another answer to the same id"
    print(f"{kind}: heard {len(heard)} answers before the last start")  # noqa: T201
    assert heard
    todo = commands(seed, count)
    async with App("bank", BANK, write=url, **OPTIONS[kind]) as app:
        before = await app.log.head()
        answers = await dispatch_all(app, todo)
        assert heard.items() <= answers.items()
        assert await app.log.head() > before, "killed before the end"
        expected: Counter[tuple[str, int]] = Counter()
        for command_id, command in todo.items():
            if answers[command_id].startswith("yes"):
                names = {
                    "Deposit": ["Deposited"],
                    "Withdraw": ["Withdrawn"],
                    "Transfer": ["Withdrawn", "Deposited"],
                }[type(command).__name__]
                expected.update((name, command.amount) for name in names)
        assert await amounts_per_type(app) == expected
        await app.settle(20)
        rows = {row.account_id: row.balance for row in await app.ask(Richest())}
        assert rows == {name: (await app.load(Account, name)).balance for name in rows}
        assert min(rows.values()) >= 0
        verified = await app.verify()
        assert verified.ok, verified
        assert verified.rows == len(rows) == 5


@pytest.mark.parametrize(
    "kinds",
    [
        ("async", "async"),
        ("inline", "inline"),
        ("async", "inline"),
        ("state", "async"),
        ("state inline", "async"),
    ],
    ids=" and ".join,
)
async def test_two_processes_storming_few_streams_lose_no_update_and_agree(kinds, url, start):
    count = 25
    both = [start("storm", url, kind, count) for kind in kinds]
    for process in both:
        assert process.stdout.readline() == "done\n"
    seen = [json.loads(process.communicate(timeout=40)[0]) for process in both]
    async with App("bank", BANK, write=url) as app:
        assert await app.log.head() == 2 * 4 * count * 3
        states = [(await app.load(Account, one)).balance for one in STREAMS]
        assert sum(states) == 2 * 4 * count * 2
        await app.settle()
        rows = await app.ask(Richest())
        assert sorted(row.balance for row in rows) == sorted(states)
        assert (await app.verify()).ok
        head = await app.log.head()
    for shown, verified, status in seen:
        assert sorted(shown) == sorted(repr(rows))
        assert verified
        assert status == [[head, head]]
