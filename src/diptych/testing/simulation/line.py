"""The line between a process and the world: every call takes its time on it, and may go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from diptych.errors import DiptychError, OutcomeUnknown, StoreUnavailable
from diptych.testing.simulation.process import Process

if TYPE_CHECKING:
    from diptych.testing.simulation.world import World

__all__ = ["Line"]

T = TypeVar("T")
Effect = Callable[[], Awaitable[T]]

_SLOW = 0.01


class Line:
    """Carries the calls of one process to the log and the stores, and their answers back."""

    def __init__(self, world: World, process: Process) -> None:
        self.world = world
        self.process = process

    async def call(self, name: str, effect: Effect[T], *, writes: bool = False) -> T:
        """Have `effect`, and its answer; or an error before it, or one after it, or neither.

        Raises OutcomeUnknown where a write was done and the answer is lost, StoreUnavailable where
        nothing was written, CancelledError in a process that is dead.
        """
        self.process.calls += 1
        await self.process.goes_on()
        fate = self._fate()
        try:
            await self._there(name, fate)
        except asyncio.CancelledError:
            # What was sent arrives, whether or not the one who sent it still waits.
            world = self.world
            if writes and fate is None and world.chance.random() < world.faults.late:
                world.later(name, effect)
            raise
        try:
            answer = await effect()
        except DiptychError:
            if fate == "after" and writes:
                raise OutcomeUnknown(f"nobody heard what became of {name}.") from None
            raise
        await self._back(name, fate, writes=writes)
        return answer

    async def _there(self, name: str, fate: str | None) -> None:
        await self._travel()
        await self.process.goes_on()
        if fate == "before":
            raise StoreUnavailable(f"{name} was to fail.")
        if fate == "hang":
            await self.world.nobody_answers()
            raise StoreUnavailable(f"{name} was not answered, and had no effect.")

    async def _back(self, name: str, fate: str | None, *, writes: bool) -> None:
        if fate in ("after", "mute"):
            if fate == "mute":
                await self.world.nobody_answers()
            if writes:
                raise OutcomeUnknown(f"{name} was done, and nobody heard.")
            raise StoreUnavailable(f"the answer to {name} was lost.")
        if self.world.chance.random() < 0.5:
            await self._travel()
        await self.process.goes_on()

    def _fate(self) -> str | None:
        """How this call goes wrong; None: it does not."""
        faults = self.world.faults
        lot = self.world.chance.random()
        for chance, fate in (
            (faults.errors_before, "before"),
            (faults.errors_after, "after"),
            (faults.hangs, "hang"),
            (faults.hangs, "mute"),
        ):
            lot -= chance
            if lot < 0:
                self.world.say(self.process.full_name, "fault", fate)
                return fate
        return None

    async def _travel(self) -> None:
        faults, chance = self.world.faults, self.world.chance
        lot = chance.random()
        if faults.slow_s and lot < _SLOW:
            await asyncio.sleep(chance.random() * faults.slow_s)
        elif faults.usual_s and lot < 0.6:
            await asyncio.sleep(chance.random() * faults.usual_s)
        else:
            await asyncio.sleep(0)
