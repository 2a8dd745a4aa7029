"""A bank in memory, its drift, and hands that change its rows past the engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from banking import BANK, Balances, Deposit

from diptych import App
from diptych.operations.drift.drift import Drift
from diptych.operations.drift.refold import Ground
from diptych.queries.read_store import Change, Row


class Bank:
    """An open application with its drift."""

    def __init__(self, app: App, projection: type = Balances) -> None:
        self.app = app
        self.plan = app.plan_named(projection)
        self.store = app.sources[projection].store
        self.ground = Ground(app.log, app.parts.registry, app.environment)
        self.drift = Drift(self.ground, lambda: [(self.plan, self.store)])

    async def deposit(self, **amounts: int) -> None:
        for account, amount in amounts.items():
            await self.app.dispatch(Deposit(account, amount))
        await self.app.settle()

    async def checkpoint(self) -> int:
        return (await self.store.checkpoint(self.plan.name)).position

    async def change(self, **facts: Any) -> None:
        """What somebody does to the store by hand; the checkpoint stays."""
        at = await self.checkpoint()
        await self.store.apply([Change(self.plan.name, at, at, **facts)])

    async def rows(self) -> dict[str, Row]:
        loaded = await self.store.load(self.plan.name, [*"abcdefgh", "nobody"])
        return loaded.rows


@pytest.fixture
async def bank() -> AsyncIterator[Bank]:
    async with App("bank", BANK) as app:
        yield Bank(app)


@pytest.fixture
def bank_of() -> Callable[..., Bank]:
    return Bank
