"""A process of a simulated world: it dies, stops, goes on, and is started again."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from diptych.application import App
from diptych.environment import Environment

if TYPE_CHECKING:
    from diptych.testing.simulation.world import World

__all__ = ["Process", "release"]

T = TypeVar("T")

release: contextvars.ContextVar[int] = contextvars.ContextVar("release", default=1_000_000)
"""Which release of the code the running process has: 1, then 2, ... Outside of processes: the
newest there could be. Projections of a simulation may fail, or not, by it."""

_running: contextvars.ContextVar[Process | None] = contextvars.ContextVar("running", default=None)

_MANY = 64


class Process:
    """One life of a process: what runs in it, and whether it may go on."""

    def __init__(self, world: World, name: str, life: int, of_release: int) -> None:
        self.name = name
        self.full_name = f"{name}.{life}"
        self.life = life
        self.release = of_release
        self.dead = False
        self.ready = False
        self.closes = False
        self.shift_us = 0
        self.calls = 0
        self.app: App
        self._world = world
        self._goes_on = asyncio.Event()
        self._goes_on.set()
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._context = contextvars.copy_context()
        self._context.run(release.set, of_release)
        self._context.run(_running.set, self)

    def run(self, coroutine: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Run something within it, that ends with it."""
        loop = asyncio.get_running_loop()
        return loop.create_task(coroutine, name=name, context=self._context.copy())

    def has(self, task: asyncio.Task[Any]) -> None:
        """A task was begun within it."""
        if len(self._tasks) > _MANY:
            self._tasks = {one: None for one in self._tasks if not one.done()}
        self._tasks[task] = None

    @property
    def at_work(self) -> int:
        """How many tasks it has."""
        return sum(not one.done() for one in self._tasks)

    async def goes_on(self) -> None:
        """Return while it runs; wait while it is stopped. Raises CancelledError in a dead one."""
        if not self._goes_on.is_set():
            await self._goes_on.wait()
        if self.dead:
            raise asyncio.CancelledError

    def stop(self) -> None:
        """Hold all its calls, those under way as well."""
        self._goes_on.clear()

    def go_on(self) -> None:
        """Let them go on."""
        self._goes_on.set()

    def kill(self) -> None:
        """End it: nothing of it runs any further, and nothing is let go of."""
        self.dead = True
        self.ready = False
        self._goes_on.set()
        for task in self._tasks:
            task.cancel()

    def forget(self) -> None:
        """Let go of what has ended, so that errors that nobody has looked at are heard of.

        What has not is held on to: a task that nobody refers to is destroyed whenever memory is
        tidied up, which would not repeat itself.
        """
        self._tasks = {one: None for one in self._tasks if not one.done()}

    @staticmethod
    def running() -> Process | None:
        """The process whose code runs now."""
        return _running.get()

    @staticmethod
    def of(context: contextvars.Context) -> Process | None:
        """The process that a context belongs to."""
        return context.get(_running)


class ProcessEnvironment(Environment):
    """Time, ids and chance of one process. Its wall clock may be wrong."""

    def __init__(self, world: World, process: Process, seed: str) -> None:
        self.random = random.Random(seed)  # noqa: S311  repeatable by design
        self.process = process.full_name
        self._world = world
        self._process = process

    def time_us(self) -> int:
        """The world's time, as this process believes it is."""
        return self._world.environment.time_us() + self._process.shift_us

    def monotonic_s(self) -> float:
        """Virtual seconds."""
        return self._world.loop.time()

    async def sleep(self, seconds: float) -> None:
        """Sleep; who was stopped meanwhile wakes up later."""
        await asyncio.sleep(seconds)
        await self._process.goes_on()

    def is_gone(self, process: str) -> bool:
        """Whether that one has died, where it can be seen."""
        return self._world.faults.tells_gone and self._world.is_dead(process)
