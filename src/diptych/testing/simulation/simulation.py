"""One run: a world with faults, then a calm in which everything must come right, then checkers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from diptych.application import App
from diptych.environment import Environment
from diptych.errors import DiptychError
from diptych.messages.envelope import Envelope
from diptych.queries.read_store import Change, Find, Row
from diptych.testing.seeded import run_seeded
from diptych.testing.simulation.checkers import broken_promises
from diptych.testing.simulation.clients import Clients, MakeCommand, MakeQuery
from diptych.testing.simulation.faults import Faults
from diptych.testing.simulation.history import History
from diptych.testing.simulation.nemesis import Nemesis
from diptych.testing.simulation.operators import Operators
from diptych.testing.simulation.ports import SimulatedLog, SimulatedStore
from diptych.testing.simulation.process import Process
from diptych.testing.simulation.world import Trace, World

__all__ = ["Simulation", "SimulationFailed"]

Invariant = Callable[[Iterable[Envelope]], Iterator[str]]
"""What must be true of all events of a run, in order; yields a sentence where it is not."""

_CALM_WITHIN_S = 60.0
_LIVE_WITHIN_S = 5.0
_CLOSE_WITHIN_S = 5.0
_CALLS_PER_S = 4_000
_TASKS = 200


class SimulationFailed(AssertionError):
    """Promises were broken; `seed` breaks them again, and `history` says how it came to that."""

    def __init__(self, seed: int, broken: Sequence[str], history: History) -> None:
        shown = [*broken[:10], *([f"and {len(broken) - 10} more"] if len(broken) > 10 else [])]
        super().__init__(f"seed {seed}: " + "\n".join(shown))
        self.seed = seed
        self.broken = list(broken)
        self.history = history


class Simulation:
    """An application to be run in simulated worlds: several processes over one log and one store.

    Args:
        parts: What App takes; or a function of the release (1, 2, ...) where several releases of
            the code are to run beside each other.
        command: Makes a command, by chance, its number, and the release it is sent to.
        query: Makes a question that the sender of a command might ask then.
        inline: Projection classes that are inline.
        releases: How many releases there are; in the end every process has the newest.
        invariant: What must be true of all events, beside what diptych promises.
        name: How this object is called on the command line, to say how to replay a seed.

    A run is decided by its seed alone: which faults, how many processes, who does what when, and in
    which order everything happens. Parts must therefore keep to themselves, as in `run_seeded`.
    """

    def __init__(
        self,
        parts: Sequence[Any] | Callable[[int], Sequence[Any]],
        command: MakeCommand,
        query: MakeQuery,
        *,
        inline: Sequence[type] = (),
        releases: int = 1,
        invariant: Invariant | None = None,
        name: str = "",
    ) -> None:
        self.name = name
        self._parts: Callable[[int], Sequence[Any]] = parts if callable(parts) else lambda _: parts
        self._command = command
        self._query = query
        self._inline = inline
        self._releases = releases
        self._invariant = invariant

    def run(self, seed: int, trace: Trace | None = None) -> History:
        """Run with one seed; what happened. Raises SimulationFailed when a promise was broken."""
        with _quiet(trace is None):
            try:
                history, broken = run_seeded(
                    lambda environment: self._run(environment, trace), seed
                )
            except Exception as error:
                where = f" --of {self.name}" if self.name else ""
                error.add_note(f"python -m diptych.testing.simulation {seed} --trace{where}")
                raise
        if broken:
            failed = SimulationFailed(seed, broken, history)
            where = f" --of {self.name}" if self.name else ""
            failed.add_note(f"python -m diptych.testing.simulation {seed} --trace{where}")
            raise failed
        return history

    def run_all(self, seeds: Iterable[int]) -> int:
        """Run with each of the seeds; how many there were. The first failure carries its seed."""
        number = 0
        for seed in seeds:
            self.run(seed)
            number += 1
        return number

    def make_app(
        self, release: int, log: SimulatedLog, store: SimulatedStore, environment: Environment
    ) -> App:
        """The application of one process."""
        return App(
            "simulated",
            self._parts(release),
            write=log,
            read=store,
            inline=self._inline,
            environment=environment,
        )

    async def _run(self, environment: Any, trace: Trace | None) -> tuple[History, list[str]]:
        world = World(environment, environment.seed, self.make_app, trace)
        clients = Clients(world, self._command, self._query)
        run = _Run(world, self._releases, self._inline, clients)
        try:
            app = await run.live()
        finally:
            await run.end()
        history = world.history
        history.log = await world.log.read(0, 1_000_000)
        registry = app.parts.registry
        plans = {plan.name: plan for plan in app.parts.plans.values()}
        broken = broken_promises(history, registry, plans)
        if self._invariant is not None:
            envelopes = [
                Envelope(registry.decode(one.type, one.schema, one.data), one)
                for one in history.log
            ]
            broken += self._invariant(envelopes)
        return history, broken


class _Run:
    """The two halves of a run: the storm, and the calm after it."""

    def __init__(
        self,
        world: World,
        releases: int,
        inline: Sequence[type],
        clients: Clients,
    ) -> None:
        self._world = world
        self._releases = releases
        self._inline = inline
        self._clients = clients
        self._tasks: dict[str, asyncio.Task[Any]] = {}

    async def live(self) -> App:
        """Go through both; the application of a process that is left."""
        world, chance = self._world, self._world.chance
        world.faults = Faults.drawn(chance)
        world.say("the world", "faults", repr(world.faults))
        for number in range(chance.choice((2, 2, 3))):
            world.start(f"p{number + 1}", chance.randrange(1, self._releases + 1))
        app = next(iter(world.processes.values())).app
        inline = world.inline = [app.parts.plan_for(one).name for one in self._inline]
        projections = [n.name for n in app.parts.plans.values() if n.name not in inline]
        operators = Operators(world, projections, inline)
        pause_s = chance.choice((0.05, 0.2, 0.5))
        for number in range(chance.choice((1, 2, 3))):
            commands = chance.randrange(4, 12)
            self._begin(f"client {number}", self._clients.client(number, commands, pause_s))
        if chance.random() < 0.8:
            self._begin("operator", operators.operator(chance.choice((0.03, 0.1, 0.5))))
        if chance.random() < 0.2:
            self._begin("another", operators.operator(0.5))
        raging = asyncio.create_task(Nemesis(world, self._releases).rage(), name="nemesis")
        self._tasks["nemesis"] = raging
        await asyncio.sleep(chance.choice((1.0, 2.0, 4.0)))
        return await self._calm()

    async def end(self) -> None:
        """Let go of everything."""
        for task in self._tasks.values():
            task.cancel()
        for process in self._world.processes.values():
            if not process.dead:
                self._world.kill(process)
        await asyncio.sleep(0)
        for process in self._world.processes.values():
            process.forget()

    def _begin(self, name: str, coroutine: Any) -> None:
        self._tasks[name] = asyncio.create_task(coroutine, name=name)

    async def _calm(self) -> App:
        world = self._world
        world.say("the world", "calm")
        await self._stop("nemesis")
        await world.heal()
        for name, process in list(world.processes.items()):
            if process.dead or process.closes or process.release < self._releases:
                await self._close(process)
                world.start(name, self._releases)
        await self._ends(lambda: len(world.ready()) == len(world.processes), "open a process")
        for name in list(self._tasks):
            if name.startswith("client"):
                await self._ends(self._tasks[name].done, name)
                self._look_at(name)
            else:
                await self._stop(name)
        survivors = world.ready()
        for process in survivors:
            await self._come_right(process)
        await self._verify(survivors[0])
        await self._note_what_is_parked(survivors[0].app)
        for process in survivors:
            if process.calls > _CALLS_PER_S * max(1.0, world.loop.time()):
                world.notice("R12", process.full_name, f"made {process.calls} calls")
            if process.at_work > _TASKS:
                world.notice("R12", process.full_name, f"has {process.at_work} tasks")
            await self._close(process)
        return survivors[0].app

    async def _come_right(self, process: Process) -> None:
        """Everything that is parked can be retried, and every projection comes to the head."""
        world, app = self._world, process.app
        try:
            async with asyncio.timeout(_CALM_WITHIN_S):
                await app.settle(_CALM_WITHIN_S / 2)
        except DiptychError as error:
            world.say(process.full_name, "is not settled", str(error))
            await self._retry(process)
        except TimeoutError:
            world.notice("liveness", process.full_name, "settle() took longer than it may")
        deadline = world.loop.time() + _LIVE_WITHIN_S
        while idle := [s for s in await app.status() if s.state not in ("live", "inline")]:
            if world.loop.time() > deadline:
                world.notice("liveness", process.full_name, f"{idle[0]}")
                return
            await asyncio.sleep(0.1)

    async def _retry(self, process: Process) -> None:
        world, app = self._world, process.app
        try:
            async with asyncio.timeout(_CALM_WITHIN_S):
                for source in app.sources.values():
                    await app.parked.retry(source.plan.name)
                for name in world.inline:
                    if (await world.store.checkpoint(name)).position < await world.log.head():
                        # A rebuild in place was killed: it goes on when it is called again.
                        await app.rebuild(name, in_place=True)
                await app.settle(_CALM_WITHIN_S / 2)
        except (DiptychError, TimeoutError) as error:
            world.notice("liveness", process.full_name, f"does not come right: {error!r}")

    async def _verify(self, process: Process) -> None:
        """Verification finds nothing; and exactly the row that is wrong once one is."""
        world, app = self._world, process.app
        try:
            async with asyncio.timeout(_CALM_WITHIN_S):
                found = await app.verify()
                if not found.ok:
                    world.notice("R15", "verify", f"found {found.differences}")
                await self._tamper(app)
        except (DiptychError, TimeoutError) as error:
            world.notice("R15", process.full_name, f"cannot verify: {error!r}")

    async def _tamper(self, app: App) -> None:
        world = self._world
        plan = world.chance.choice([s.plan for s in app.sources.values()])
        keys = await world.store.find(plan.name, Find())
        if not keys:
            return
        row = world.chance.choice(keys)
        at = (await world.store.checkpoint(plan.name)).position
        await world.store.apply([Change(plan.name, at, at, deleted=[row.key])])
        found = [(one.projection, one.key) for one in (await app.verify()).differences]
        if [key for _, key in found] != [row.key]:
            world.notice("R15", "verify", f"{row.key!r} of {plan.name} is gone; it found {found}")
        await world.store.apply([Change(plan.name, at, at, [Row(*row)])])

    async def _note_what_is_parked(self, app: App) -> None:
        store = self._world.store
        for plan in app.parts.plans.values():
            for one in await store.generations(plan.name):
                self._world.history.parked[one.name] = await store.parked(one.name)
        self._world.history.parked_at = len(self._world.history.records)

    async def _close(self, process: Process) -> None:
        if process.dead:
            return
        if process.ready and not await self._world.close(process, _CLOSE_WITHIN_S):
            self._world.notice("liveness", process.full_name, "does not close")
        elif not process.dead:
            self._world.kill(process)

    async def _ends(self, happened: Callable[[], bool], what: str) -> None:
        deadline = self._world.loop.time() + _CALM_WITHIN_S
        while not happened():
            if self._world.loop.time() > deadline:
                waits = ", ".join(sorted(self._clients.unanswered))
                raise AssertionError(f"{what} does not come to an end; unanswered: {waits}")
            await asyncio.sleep(0.05)

    async def _stop(self, name: str) -> None:
        task = self._tasks.pop(name)
        task.cancel()
        await asyncio.wait([task])
        self._tasks[name] = task
        self._look_at(name)

    def _look_at(self, name: str) -> None:
        task = self._tasks.pop(name)
        if not task.cancelled() and task.exception() is not None:
            raise AssertionError(f"{name} is broken") from task.exception()


@contextmanager
def _quiet(quiet: bool) -> Iterator[None]:  # noqa: FBT001
    """What the log would be full of: parked events, killed runners."""
    log = logging.getLogger("diptych")
    before = log.disabled
    log.disabled = before or quiet
    try:
        yield
    finally:
        log.disabled = before
