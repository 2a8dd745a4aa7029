"""What other processes do in these tests: `python workers.py <task> <url> ...`."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from typing import Any

from banking import BANK, Account, Balances, Deposit, Richest, Transfer, Withdraw

from diptych import App, Rejection
from diptych.errors import ConflictError, VersionConflict
from diptych.events.log import Append, EventToStore, StreamAppend

OPTIONS: dict[str, dict[str, Any]] = {
    "async": {},
    "inline": {"inline": [Balances]},
    "state": {"state_stored": [Account]},
    "state inline": {"state_stored": [Account], "inline": [Balances]},
}
STREAMS = "abc"


def commands(seed: int, count: int) -> dict[str, Any]:
    """The list that is dispatched: command id to command. Every amount occurs in one command."""
    chance = random.Random(seed)
    made: dict[str, Any] = {}
    for amount in range(1, count + 1):
        source, target = chance.sample("abcde", 2)
        made[f"c-{amount}"] = chance.choice(
            [
                Deposit(source, amount),
                Deposit(source, amount),
                Withdraw(source, amount),
                Transfer(source, target, amount),
            ]
        )
    return made


async def answer(app: App, command: Any, command_id: str) -> Any:
    """What the command was answered: the token of its events, or the rejection."""
    while True:
        try:
            return await app.dispatch(command, id=command_id)
        except ConflictError:
            await asyncio.sleep(0)
        except Rejection as no:
            return no


async def dispatch_all(app: App, todo: dict[str, Any], *, say: bool = False) -> dict[str, str]:
    """Dispatch the list, sixteen at a time; give (and say at once) each answer as text."""
    answers: dict[str, str] = {}
    rest = iter(todo.items())

    async def client() -> None:
        for command_id, command in rest:
            got = await answer(app, command, command_id)
            text = f"no: {got}" if isinstance(got, Rejection) else f"yes: {got.token}"
            answers[command_id] = text
            if say:
                os.write(1, json.dumps([command_id, text]).encode() + b"\n")

    await asyncio.gather(*(client() for _ in range(16)))
    return answers


async def work_off(url: str, kind: str, seed: str, count: str) -> None:
    """Dispatch the list from its beginning, projections running, and say what was answered."""
    async with App("bank", BANK, write=url, **OPTIONS[kind]) as app:
        await dispatch_all(app, commands(int(seed), int(count)), say=True)
        await app.settle(30)


async def storm(url: str, kind: str, count: str) -> None:
    """Change few streams, projections running; say what the read model shows."""
    async with App("bank", BANK, write=url, **OPTIONS[kind]) as app:

        async def client(number: int) -> None:
            for step in range(int(count)):
                stream = STREAMS[(number + step) % len(STREAMS)]
                other = STREAMS[(number + step + 1) % len(STREAMS)]
                await answer(app, Deposit(stream, 2), f"{os.getpid()}-d-{number}-{step}")
                moved = Transfer(stream, other, 1)
                await answer(app, moved, f"{os.getpid()}-t-{number}-{step}")

        await asyncio.gather(*(client(number) for number in range(4)))
        os.write(1, b"done\n")
        await asyncio.to_thread(sys.stdin.read)  # until the other one is done as well
        await app.settle(20)
        found = await app.ask(Richest())
        verified = await app.verify()
        status = [(one.position, one.head) for one in await app.status()]
        os.write(1, json.dumps([repr(found), verified.ok, status]).encode() + b"\n")


async def race(url: str, number: str, clients: str, versions: str) -> None:
    """At each line that comes in, have some clients append to the version it says; say who won."""
    async with App("bank", BANK, write=url) as app:
        os.write(1, b"ready\n")
        for _ in range(int(versions)):
            version = int(await asyncio.to_thread(sys.stdin.readline))

            async def write(client: int, version: int = version) -> str | None:
                name = f"{number}-{client}-{version}"
                event = EventToStore("Counted", 1, json.dumps(name).encode(), b"{}")
                try:
                    await app.log.append(Append((StreamAppend("counter", version, (event,)),)))
                except VersionConflict:
                    return None
                return name

            won = await asyncio.gather(*(write(client) for client in range(int(clients))))
            os.write(1, json.dumps([name for name in won if name]).encode() + b"\n")


async def same(url: str, command_id: str, count: str) -> None:
    """Wait for a line, then dispatch one command so many times at once; say what was answered."""
    async with App("bank", BANK, write=url) as app:
        os.write(1, b"ready\n")
        await asyncio.to_thread(sys.stdin.readline)
        sent = [app.dispatch(Deposit("a", 1), id=command_id) for _ in range(int(count))]
        answers = [(str(done.token), done.repeated) for done in await asyncio.gather(*sent)]
        os.write(1, json.dumps(answers).encode() + b"\n")


TASKS = {"work_off": work_off, "storm": storm, "race": race, "same": same}

if __name__ == "__main__":
    task, *arguments = sys.argv[1:]
    asyncio.run(TASKS[task](*arguments))
