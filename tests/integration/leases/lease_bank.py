"""The bank as these tests see it: its commands, and who runs its projections."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable
from typing import Any

from lease_workers import PROJECTIONS

from diptych import App
from diptych.sync.terms import read_terms


async def until(condition: Callable[[], Awaitable[Any]], what: str, within_s: float = 10) -> float:
    """How long it took until `condition` held; fails when that is far too long."""
    began = time.monotonic()
    while not await condition():
        assert time.monotonic() < began + within_s, f"waited {within_s} s for {what}"
        await asyncio.sleep(0.005)
    return time.monotonic() - began


class Bank:
    """The application without its projections, and who else runs them."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def standing(self) -> dict[str, Any]:
        sources = [self.app.sources[one] for one in PROJECTIONS]
        return await sources[0].store.checkpoints([one.plan.name for one in sources])

    async def owners(self) -> dict[str, int]:
        """The process that moves each projection; 0: none."""
        found = await self.standing()
        return {
            name: int(read_terms(info.lease).owner.partition("@")[0] or 0)
            for name, info in found.items()
        }

    async def shared_by(self, *processes: subprocess.Popen[str]) -> float:
        """Wait until these and no others run the projections, each at least one of them."""
        pids = {process.pid for process in processes}

        async def shared() -> bool:
            return set((await self.owners()).values()) == pids

        return await until(shared, f"{pids} to share the projections")

    async def check(self) -> None:
        """Everything has been folded, once: rows are what the log says."""
        await self.app.settle(20)
        verified = await self.app.verify()
        assert verified.ok, verified
