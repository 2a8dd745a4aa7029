"""Who makes things go wrong: kills, stops, restarts, sets clocks, releases new code."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diptych.testing.simulation.process import Process
    from diptych.testing.simulation.world import World

__all__ = ["Nemesis"]

_CLOSE_WITHIN_S = 3.0
_BACK_WITHIN_S = 1.5
_TAKEN_FOR_DEAD = 0.4
_BESIDE_S = 2.0


class Nemesis:
    """Acts on the processes of a world as its faults say, until it is cancelled."""

    def __init__(self, world: World, newest: int) -> None:
        self._world = world
        self._newest = newest

    async def rage(self) -> None:
        """Let everything happen."""
        faults = self._world.faults
        kinds = (
            ("crash", faults.crash_every_s),
            ("restart", faults.restart_every_s),
            ("pause", faults.pause_every_s),
            ("clock", faults.clock_every_s),
        )
        # Not a TaskGroup: it cancels in the order of a set, which would not repeat itself.
        await asyncio.gather(*(self._every(every_s, what) for what, every_s in kinds if every_s))

    async def _every(self, every_s: float, what: str) -> None:
        chance = self._world.chance
        while True:
            await asyncio.sleep(chance.random() * 2 * every_s)
            await getattr(self, f"_{what}")()

    async def _crash(self) -> None:
        world = self._world
        process = world.chance.choice(list(world.processes.values()))
        if process.dead:
            return
        world.kill(process)
        await asyncio.sleep(world.chance.random() * _BACK_WITHIN_S)
        self._start_again(process)

    async def _restart(self) -> None:
        world = self._world
        ready = world.ready()
        if not ready:
            return
        process = world.chance.choice(ready)
        await world.close(process, _CLOSE_WITHIN_S)
        self._start_again(process)

    def _start_again(self, process: Process) -> bool:
        """Start another life of a process, unless somebody has: none may be forgotten alive."""
        if self._world.processes[process.name] is not process:
            return False
        self._world.start(process.name, self._release(process.release))
        return True

    async def _pause(self) -> None:
        """Stop a process; sometimes somebody takes it for dead, and starts another in its place."""
        world = self._world
        process = world.chance.choice(list(world.processes.values()))
        taken_for_dead = world.chance.random() < _TAKEN_FOR_DEAD
        world.say(process.full_name, "stops")
        process.stop()
        try:
            await asyncio.sleep(world.chance.random() * world.faults.pause_s)
            taken_for_dead = taken_for_dead and self._start_again(process)
        finally:
            world.say(process.full_name, "goes on")
            process.go_on()
        if taken_for_dead:
            try:
                await asyncio.sleep(world.chance.random() * _BESIDE_S)
            finally:
                world.kill(process)

    async def _clock(self) -> None:
        world = self._world
        process = world.chance.choice(list(world.processes.values()))
        process.shift_us = world.chance.choice((-7_200_000_000, -1_000_000, 0, 7_200_000_000))

    def _release(self, before: int) -> int:
        """The release a process comes back with: as before, or newer; sometimes rolled back."""
        chance = self._world.chance
        if chance.random() < 0.15:
            return max(1, before - 1)
        return min(self._newest, before + chance.randrange(2))
