"""What other processes do in these tests: `python workers.py <task> <url> ...`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

from banking import BANK, Account, Balances, Deposited, Withdrawn

from diptych import App, Projection, ReadModel, keyed_by
from diptych.environment import Environment
from diptych.errors import LeaseLost


class Activity(ReadModel, key="account_id"):
    account_id: str
    moves: int = 0


class Activities(Projection[Activity]):
    def moved(self, row: Activity, event: Deposited | Withdrawn) -> None:
        row.moves += 1


class Turnover(ReadModel, key="day"):
    day: str
    amount: int = 0


class Turnovers(Projection[Turnover]):
    @keyed_by(lambda event: "all")
    def moved(self, row: Turnover, event: Deposited | Withdrawn) -> None:
        row.amount += event.amount


PARTS = [*BANK, Activities, Turnovers]
PROJECTIONS = [Balances, Activities, Turnovers]


class Shifted(Environment):
    """A machine whose clock is wrong by some hours."""

    def __init__(self, hours: float) -> None:
        super().__init__()
        self._wrong_us = int(hours * 3_600_000_000)

    def time_us(self) -> int:
        return super().time_us() + self._wrong_us


def say(text: str) -> None:
    os.write(1, text.encode() + b"\n")


def listen(app: App, *, naive: bool) -> None:
    """Say when a batch is refused because the lease was lost. Naive: nobody looks at epochs and
    checkpoints, the batch is written whatever has happened meanwhile.
    """
    cls: Any = type(app.sources[Balances].store)
    apply = cls.apply

    async def watched(self: Any, changes: Any) -> None:
        if naive:
            stand = {c.projection: (await self.checkpoint(c.projection)).position for c in changes}
            changes = [
                c._replace(
                    epoch=None, after=stand[c.projection], upto=max(c.upto, stand[c.projection])
                )
                for c in changes
            ]
        try:
            await apply(self, changes)
        except LeaseLost:
            say("lost")
            raise

    cls.apply = watched


async def run(url: str, hours: str = "0", how: str = "") -> None:
    """Run the projections until SIGTERM."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    parts = [Account, Balances] if how == "old" else PARTS
    app = App("bank", parts, write=url, environment=Shifted(float(hours)))
    listen(app, naive=how == "naive")
    async with app:
        say("ready")
        await stopped.wait()
    say("closed")


if __name__ == "__main__":
    task, *arguments = sys.argv[1:]
    asyncio.run({"run": run}[task](*arguments))
