"""A simulated world: one log and one read store that survive, and processes that do not."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, cast

from diptych.adapters.memory.event_log import MemoryEventLog
from diptych.adapters.memory.read_store import MemoryReadStore
from diptych.application import App
from diptych.environment import Environment
from diptych.errors import DiptychError
from diptych.events.log import Append, LogTransaction, Participant
from diptych.testing.simulation.faults import CALM, Faults
from diptych.testing.simulation.history import Appended, History, Noticed, Record, Written
from diptych.testing.simulation.line import Line
from diptych.testing.simulation.ports import SimulatedLog, SimulatedStore
from diptych.testing.simulation.process import Process, ProcessEnvironment

__all__ = ["MakeApp", "World"]

MakeApp = Callable[[int, SimulatedLog, SimulatedStore, Environment], App]
"""Makes the application of one process, for a release, over its log, store and environment."""

Trace = Callable[[float, str, str, str], None]
"""Is told what happens: the virtual second, by whom, what, and more of it."""


class World:
    """What processes share, what happened, and what goes wrong."""

    def __init__(
        self, environment: Environment, seed: int, make_app: MakeApp, trace: Trace | None = None
    ) -> None:
        self.environment = environment
        self.loop = asyncio.get_running_loop()
        self.loop.set_task_factory(cast("Any", _begin))
        self.loop.set_exception_handler(self._unheard)
        self.seed = seed
        self.chance = random.Random(f"world {seed}")  # noqa: S311  repeatable by design
        self.faults: Faults = CALM
        self.history = History()
        self.log = MemoryEventLog(environment=environment)
        self.store = MemoryReadStore()
        self.appending = _Appending(self)
        self.log.join(self.appending)
        self.processes: dict[str, Process] = {}
        self.inline: Sequence[str] = ()
        self.trace = trace
        self._make_app = make_app
        self._dead: set[str] = set()
        self._heals = asyncio.Event()
        self._late: dict[asyncio.Task[Any], None] = {}
        self._context = contextvars.copy_context()

    # ------------------------------------------------------------------------------ what happened

    def add(self, record: Record) -> None:
        """Something happened."""
        self.history.add(record)
        if self.trace is not None:
            self.trace(self.loop.time(), record.process, type(record).__name__, _facts(record))

    def say(self, who: str, what: str, more: str = "") -> None:
        """Something worth a line of the trace, and nothing else."""
        if self.trace is not None:
            self.trace(self.loop.time(), who, what, more)

    def notice(self, promise: str, who: str, text: str) -> None:
        """Something happened that must not."""
        self.add(Noticed(who, promise, text))

    # ---------------------------------------------------------------------------------- processes

    def start(self, name: str, release: int) -> Process:
        """Start a process (again), with a release of the code; it opens its application itself."""
        before = self.processes.get(name)
        process = Process(self, name, before.life + 1 if before else 1, release)
        environment = ProcessEnvironment(self, process, f"{self.seed} {process.full_name}")
        line = Line(self, process)
        process.app = self._make_app(release, SimulatedLog(line), SimulatedStore(line), environment)
        self.processes[name] = process
        self.say(process.full_name, "starts", f"release {release}")
        process.run(self._open(process), "opening")
        return process

    def kill(self, process: Process) -> None:
        """End a process at once."""
        self.say(process.full_name, "dies")
        self._dead.add(process.full_name)
        process.kill()

    async def close(self, process: Process, within_s: float) -> bool:
        """Close a process as it should be; one that does not come to its end is killed."""
        process.ready, process.closes = False, True
        self.say(process.full_name, "closes")
        closing = process.run(process.app.close(), "closing")
        await asyncio.wait([closing], timeout=within_s)
        ended = closing.done() and not closing.cancelled() and closing.exception() is None
        self.kill(process)
        await asyncio.wait([closing])
        return ended

    def is_dead(self, process: str) -> bool:
        """Whether a process (by its full name) has ended."""
        return process in self._dead

    def ready(self) -> list[Process]:
        """Those that have opened their application and live."""
        return [one for one in self.processes.values() if one.ready]

    def _unheard(self, _: asyncio.AbstractEventLoop, facts: dict[str, Any]) -> None:
        """A task has ended with an error, and nobody was told."""
        self.notice("R12", str(facts.get("task", "")), f"{facts.get('exception')!r}")

    async def _open(self, process: Process) -> None:
        while True:
            try:
                await process.app.open()
            except DiptychError as error:
                self.say(process.full_name, "cannot open", str(error))
                await asyncio.sleep(0.1 + self.chance.random() * 0.3)
            else:
                process.ready = True
                return

    # ------------------------------------------------------------------------------------ the line

    async def nobody_answers(self) -> None:
        """Wait as long as a call hangs: until somebody closes the line, or the faults end."""
        heals = self._heals
        try:
            async with asyncio.timeout(self.chance.random() * self.faults.hang_s):
                await heals.wait()
        except TimeoutError:
            return

    def later(self, name: str, effect: Callable[[], Awaitable[Any]]) -> None:
        """Have an effect that nobody waits for any more."""

        async def arrives() -> None:
            await asyncio.sleep(self.chance.random() * max(self.faults.slow_s, 0.1))
            self.say("the world", "late", name)
            try:
                await effect()
            except DiptychError:
                return

        task = self.loop.create_task(arrives(), name=f"late {name}", context=self._context.copy())
        self._late[task] = None

    async def heal(self) -> None:
        """Nothing goes wrong from now on; what hangs ends, who was stopped goes on."""
        self.faults = CALM
        self._heals.set()
        for process in self.processes.values():
            process.go_on()
        if self._late:
            await asyncio.wait(list(self._late))


class _Appending:
    """What commits with an append: the participants of the process it comes from, and a record."""

    def __init__(self, world: World) -> None:
        self.written: list[Written] = []
        self._world = world
        self._participants: Sequence[Participant] = ()
        self._process = ""
        self._attempt = 0
        self._append = Append()

    def begin(
        self, process: str, attempt: int, append: Append, participants: Sequence[Participant]
    ) -> None:
        """The next append is this one."""
        self._process, self._attempt = process, attempt
        self._append, self._participants = append, participants
        self.written.clear()

    async def join(self, transaction: LogTransaction, head: int) -> None:
        """See Participant."""
        for one in self._participants:
            await one.join(transaction, head)
        for change in self.written:
            self._world.add(change)
        append = self._append
        events = sum(len(one.events) for one in append.streams)
        if events:
            store, inline = self._world.store, self._world.inline
            self._world.add(
                Appended(
                    self._process,
                    self._attempt,
                    append.command.command_id if append.command else "",
                    head - events + 1,
                    events,
                    streams=tuple((s.stream, s.expected, len(s.events)) for s in append.streams),
                    inline={one: (await store.checkpoint(one)).position for one in inline},
                )
            )


def _begin(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **facts: Any
) -> asyncio.Task[Any]:
    """Begin a task, and have its process know of it."""
    task = asyncio.Task(coroutine, loop=loop, **facts)
    context = facts.get("context")
    process = Process.running() if context is None else Process.of(context)
    if process is not None:
        process.has(task)
        if process.dead:
            task.cancel()
    return task


def _facts(record: Record) -> str:
    facts = {name: getattr(record, name) for name in record.__struct_fields__[1:]}
    return " ".join(f"{name}={value!r}" for name, value in facts.items() if value or value == 0)
