"""What another process does in test_failpoints.py: `python failpoint_workers.py <url> <seed>`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from banking import BANK, Deposit, Deposited, Withdrawn
from workers import commands as some_commands
from workers import dispatch_all

from diptych import App, Projection, ReadModel

COUNT = 60
UNBEARABLE = 20


class Wary(ReadModel, key="account_id"):
    account_id: str
    amounts: list[int] = []


class Warily(Projection[Wary]):
    """Cannot bear one number."""

    def deposited(self, row: Wary, event: Deposited) -> None:
        if event.amount == UNBEARABLE:
            raise ValueError(f"not {event.amount}")
        row.amounts.append(event.amount)

    def withdrawn(self, row: Wary, event: Withdrawn) -> None:
        row.amounts.append(-event.amount)


PARTS = [*BANK, Warily]


async def work_off(url: str, todo: dict[str, Any]) -> None:
    """Dispatch the list in parts, projections running, and say what was answered."""
    async with App("bank", PARTS, write=url) as app:
        ids = list(todo)
        for at in range(0, len(ids), 10):
            await dispatch_all(app, {one: todo[one] for one in ids[at : at + 10]}, say=True)
            await arrived(app)


async def arrived(app: App) -> None:
    """Wait until every projection has come to the head, whatever it has parked."""
    head = await app.log.head()
    async with asyncio.timeout(20):
        for source in set(app.sources.values()):
            while (await source.store.checkpoint(source.plan.name)).position < head:  # noqa: ASYNC110
                await asyncio.sleep(0.002)


def commands(seed: str) -> dict[str, Any]:
    """Deposits, withdrawals and transfers, one of which the projection cannot bear."""
    return some_commands(int(seed), COUNT) | {f"c-{UNBEARABLE}": Deposit("a", UNBEARABLE)}


if __name__ == "__main__":
    asyncio.run(work_off(sys.argv[1], commands(sys.argv[2])))
