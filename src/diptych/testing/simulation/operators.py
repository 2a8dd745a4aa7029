"""Who runs the system: rebuilds, switches, retries, skips, verifies, repairs, at bad times."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from diptych.application import App
from diptych.errors import DiptychError
from diptych.testing.simulation.history import Ended
from diptych.testing.simulation.process import Process

if TYPE_CHECKING:
    from diptych.testing.simulation.world import World

__all__ = ["Operators"]

_WORKS = (
    "rebuild", "build", "switch", "switch_back", "drop", "in_place",
    "retry", "skip", "verify", "repair", "status",
)  # fmt: skip


class Operators:
    """Does one thing after another to some projection, in some process, with or without success."""

    def __init__(self, world: World, projections: Sequence[str], inline: Sequence[str]) -> None:
        self._world = world
        self._projections = projections
        self._inline = inline

    async def operator(self, pause_s: float) -> None:
        """Work until cancelled: this one at a few things only, which therefore meet each other."""
        chance = self._world.chance
        only = chance.sample(_WORKS, chance.randrange(2, len(_WORKS)))
        while True:
            await asyncio.sleep(chance.random() * 2 * pause_s)
            ready = self._world.ready()
            if ready:
                await self._work(chance.choice(ready), chance.choice(only))

    async def _work(self, process: Process, what: str) -> None:
        world = self._world
        name = world.chance.choice(self._projections)
        world.say(process.full_name, "begins", f"{what} {name}")
        working = process.run(getattr(self, f"_{what}")(process.app, name), what)
        try:
            await asyncio.wait([working])
        except asyncio.CancelledError:
            working.cancel()
            raise
        if working.cancelled():
            return
        error = working.exception()
        outcome = "done" if error is None else "raised"
        if isinstance(error, DiptychError):
            outcome = error.code
        elif error is not None:
            world.notice("", process.full_name, f"{what} {name} raised {error!r}")
        world.add(Ended(process.full_name, f"{what} {name}", outcome, str(error or "")))

    async def _rebuild(self, app: App, name: str) -> None:
        await app.rebuild(name)

    async def _in_place(self, app: App, name: str) -> None:
        name = self._world.chance.choice([name, *self._inline])
        await app.rebuild(name, in_place=True)

    async def _build(self, app: App, name: str) -> None:
        await app.generations(name).build()

    async def _switch(self, app: App, name: str) -> None:
        await app.generations(name).switch()

    async def _switch_back(self, app: App, name: str) -> None:
        await app.generations(name).switch_back()

    async def _drop(self, app: App, name: str) -> None:
        await app.generations(name).drop()

    async def _retry(self, app: App, name: str) -> None:
        await app.parked.retry(name)

    async def _skip(self, app: App, name: str) -> None:
        entries = await app.parked.entries(name)
        if entries:
            entry = self._world.chance.choice(entries)
            await app.parked.skip(
                name, entry.key, entry.position, reason="a test", actor="somebody"
            )

    async def _verify(self, app: App, name: str) -> None:
        found = await app.verify(projections=[name])
        if not found.ok:
            self._world.notice("R15", "verify", f"found {found.differences}")

    async def _repair(self, app: App, name: str) -> None:
        repaired = await app.drift.repair(app.plan_named(name).name, ["a", "b"])
        if repaired.differences:
            self._world.notice("R15", "repair", f"mended {repaired.differences}")

    async def _status(self, app: App, name: str) -> None:
        await app.status()
