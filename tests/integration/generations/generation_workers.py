"""What other processes do in these tests: `python generation_workers.py <task> <url> ...`."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from banking import (
    BANK,
    Account,
    Balances,
    Deposited,
    GetBalance,
    Withdrawn,
)

from diptych import App, Projection, Query, Reader, ReadModel


class Sum(ReadModel, key="account_id"):
    account_id: str
    cents: int = 0
    moves: int = 0


class NewBalances(Projection[Sum], version=2):
    def deposited(self, row: Sum, event: Deposited) -> None:
        row.cents += event.amount * 100
        row.moves += 1

    def withdrawn(self, row: Sum, event: Withdrawn) -> None:
        row.cents -= event.amount * 100
        row.moves += 1


NewBalances.__name__ = "Balances"  # another version of the same projection


class GetSum(Query[Sum | None]):
    account_id: str


async def get_sum(query: GetSum, sums: Reader[Sum]) -> Sum | None:
    return await sums.get(query.account_id)


NEW = [Account, NewBalances, get_sum]


def say(text: str) -> None:
    os.write(1, text.encode() + b"\n")


async def build(url: str, throttle: str = "") -> None:
    """Build rows beside those that are read."""
    async with App("bank", BANK, write=url) as app:
        say("began")
        await app.generations(Balances).build(
            throttle=float(throttle) if throttle else None, progress=lambda done, _: say(f"{done}")
        )
        say("built")


async def rebuild(url: str, throttle: str = "") -> None:
    """Make the rows that are read anew."""
    app = await App("bank", BANK, write=url).open(projections=False)
    say("began")
    await app.rebuild(
        Balances,
        in_place=True,
        throttle=float(throttle) if throttle else None,
        progress=lambda done, _: say(f"{done}"),
    )
    say("built")
    await app.close()


async def switch(url: str) -> None:
    """Switch to what was built."""
    app = await App("bank", BANK, write=url).open(projections=False)
    await app.generations(Balances).switch()
    say("switched")
    await app.close()


async def read(url: str, accounts: str) -> None:
    """Read for ever, with and without a token, and say when time goes back; end with stdin."""
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    async with App("bank", BANK, write=url) as app:
        say("ready")
        reads = 0
        seen: dict[str, int] = {}
        generations: set[str] = set()
        while not ended.done():
            account = accounts[reads % len(accounts)]
            token = await app.head_token() if reads % 2 else None
            row: Any = await app.ask(GetBalance(account), after=token, within_s=20)
            balance = row.balance if row is not None else 0
            if balance < seen.get(account, 0):
                say(f"time went back: {account} {seen[account]} -> {balance}")
            seen[account] = balance
            generations.add(app.sources[Balances].plan.name)
            reads += 1
            await asyncio.sleep(0.001)  # a small read of SQLite awaits nothing
        say(f"read {reads} times from {len(generations)} generations")


async def old(url: str) -> None:
    """Run the old release: say its row of account a whenever it is asked to."""
    loop = asyncio.get_running_loop()
    async with App("bank", BANK, write=url) as app:
        say("ready")
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            row = await app.ask(GetBalance(line.strip()), after=await app.head_token(), within_s=20)
            say(f"{app.sources[Balances].plan.name} {row.balance}")


if __name__ == "__main__":
    task, *given = sys.argv[1:]
    tasks = {"build": build, "rebuild": rebuild, "switch": switch, "read": read, "old": old}
    asyncio.run(tasks[task](*given))
