"""All projections of one application: which run inline, which in a runner; start and stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence

from diptych.errors import ConfigurationError, DiptychError
from diptych.queries.projection import Plan
from diptych.queries.read_store import Capability, ReadStore
from diptych.queries.source import Source
from diptych.sync.generations import chosen, moved_here, of_generation
from diptych.sync.hinge import Hinge
from diptych.sync.inline import InlineProjections
from diptych.sync.member import Member
from diptych.sync.rebuild import Progress, Rebuild
from diptych.sync.refreshing import Refreshing
from diptych.sync.runner import Runner

__all__ = ["Panels"]

LOOK_FOR_SWITCHES_S = 0.5
"""How often it is asked whether another process has switched the rows that are read."""

_LEVEL_S = (0.01, 2.0)
"""How often, and for how long, other rows are awaited that are behind those that were read."""

_log = logging.getLogger("diptych")


class Panels:
    """Keeps the right panel in step with the left one: one runner per read store.

    `left_out` names the inline ones that cannot take part, and why: no command must be accepted
    then.
    """

    def __init__(self, hinge: Hinge, sources: Sequence[Source], inline: set[str]) -> None:
        self.sources = sources
        self.inline = inline
        self.environment = hinge.environment
        self.left_out: dict[str, str] = {}
        self.refreshing = {
            source.first.name: Refreshing(hinge, source.store, source.first)
            for source in sources
            if _kept(source.first) == "materialized"
        }
        self._hinge = hinge
        self._runs = False
        self._runners: dict[int, tuple[Runner, asyncio.Task[None]]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._joined: set[str] = set()
        self._choosing = asyncio.Lock()
        for source in sources:
            name = source.first.name
            if name in inline and Capability.INLINE not in source.store.capabilities:
                raise ConfigurationError(
                    f"{name} cannot be inline: its store cannot take part in transactions."
                )

    async def open(self, *, run: bool) -> None:
        """Open the read stores; bring inline projections to the head; start the runners."""
        self._runs = run
        self._choosing = asyncio.Lock()
        self.left_out.clear()
        for store, sources in self._by_store(self.sources):
            await store.open([s.first.table for s in sources if s.first.table.view is not None])
            await self._choose(store, sources, level=False)
            inline = [s.plan for s in sources if s.first.name in self.inline]
            if inline:
                await self._open_inline(store, inline, refuse=run)
            if run:
                await self._start(store, sources)
        if run:
            self._tasks += [
                asyncio.create_task(one.run(), name=f"refreshing {one.plan.name}")
                for one in self.refreshing.values()
                if one.plan.refreshed_after
            ]
        self._tasks.append(asyncio.create_task(self._look_for_switches(), name="switches"))

    async def close(self) -> None:
        """Stop the runners, let a refresh finish, and close the stores."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(self._stop(store) for store, _ in self._by_store(self.sources)))
        for one in self.refreshing.values():
            await one.finish()
        self._tasks.clear()
        self._hinge.arrivals.forget()
        for store, _ in self._by_store(self.sources):
            await store.close()

    @property
    def members(self) -> dict[str, tuple[Member, Runner]]:
        """The projections that runners of this process hold, by the names of their generations."""
        return {m.plan.name: (m, r) for r, _ in self._runners.values() for m in r.members}

    def ended(self) -> dict[str, str]:
        """The tasks that have ended by themselves, and why."""
        tasks = [*self._tasks, *(task for _, task in self._runners.values())]
        return {
            task.get_name(): "cancelled" if task.cancelled() else repr(task.exception())
            for task in tasks
            if task.done()
        }

    def rebuild(
        self, source: Source, throttle: float | None = None, progress: Progress | None = None
    ) -> Rebuild:
        """What rebuilds a projection."""
        return Rebuild(
            self._hinge,
            source.store,
            source.first,
            throttle=throttle,
            progress=progress,
            parks=source.first.name not in self.inline,
        )

    async def choose_again(self, source: Source) -> None:
        """Read the generation that is served now, and move those that are to be moved.

        Rows that are behind those read until now are not read before they have come as far: when
        that takes long, this returns, and it is tried again later.
        """
        async with self._choosing:
            store = source.store
            of_store = [one for one in self.sources if one.store is store]
            if self._runs:
                plans = await self._moved(store, of_store)
                runner, _ = self._runners.get(id(store), (None, None))
                moved = [] if runner is None else [one.plan.name for one in runner.members]
                if moved != [plan.name for plan in plans]:
                    await self._stop(store)
                    await self._start(store, of_store)  # what is read next is to come as far
            await self._choose(store, of_store)

    async def _choose(
        self, store: ReadStore, sources: Sequence[Source], *, level: bool = True
    ) -> None:
        """Open the generations that are read, and read them; with `level`, once they are not behind
        those that are read now.
        """
        for source in sources:
            if source.first.table.view is None:
                name = chosen(source.first, await store.generations(source.first.name))
                plan = of_generation(source.first, name)
                await store.open([plan.table])
                if not level or await self._is_level(source, name):
                    source.plan = plan

    async def _is_level(self, source: Source, name: str) -> bool:
        """Whether a generation has come as far as the one that is read."""
        if name == source.plan.name:
            return True
        every_s, within_s = _LEVEL_S
        for _ in range(int(within_s / every_s)):
            stands = await source.store.checkpoints([source.plan.name, name])
            read = stands[source.plan.name]
            if not read.fingerprint:
                return True
            # Rows of a log that was restored to an older state may stand beyond its end.
            if stands[name].position >= min(read.position, await self._hinge.log.head()):
                return True
            await self._hinge.environment.sleep(every_s)
        return False

    async def _moved(self, store: ReadStore, sources: Sequence[Source]) -> list[Plan]:
        """What a runner of this store moves."""
        plans: list[Plan] = []
        for source in sources:
            if source.first.table.view is None and source.first.name not in self.inline:
                names = moved_here(source.first, await store.generations(source.first.name))
                plans += [of_generation(source.first, name) for name in names]
        return plans

    async def _start(self, store: ReadStore, sources: Sequence[Source]) -> None:
        plans = await self._moved(store, sources)
        if plans:
            await store.open([plan.table for plan in plans])
            runner = Runner(self._hinge, store, plans)
            task = asyncio.create_task(runner.run(), name=f"projections of {store!r}")
            self._runners[id(store)] = (runner, task)

    async def _stop(self, store: ReadStore) -> None:
        _, task = self._runners.pop(id(store), (None, None))
        if task is not None:
            task.cancel()
            ended = (await asyncio.gather(task, return_exceptions=True))[0]
            if isinstance(ended, Exception):
                _log.error("a projection runner had ended with an error", exc_info=ended)

    async def _look_for_switches(self) -> None:
        while True:
            await self._hinge.environment.sleep(LOOK_FOR_SWITCHES_S)
            for store, sources in self._by_store(self.sources):
                folded = [one for one in sources if one.first.table.view is None]
                # Which are read now: others may be, once the store has answered.
                read = {source: source.plan.name for source in folded}
                try:
                    found = await store.checkpoints(list(read.values()))
                    for source, name in read.items():
                        info = found[name]
                        # One that was dropped has forgotten everything.
                        if (
                            info.role != "served"
                            or not info.fingerprint
                            or self._moves_otherwise(source)
                        ):
                            await self._look_at(source)
                except DiptychError as error:
                    _log.debug("cannot look for switches: %s", error)

    async def _look_at(self, source: Source) -> None:
        generations = await source.store.generations(source.first.name)
        moved = moved_here(source.first, generations)
        differs = source.first.name not in self.inline and moved != self._moves(source)
        if chosen(source.first, generations) != source.plan.name or (self._runs and differs):
            await self.choose_again(source)

    def _moves(self, source: Source) -> list[str]:
        """The generations of a projection that a runner of this process moves, or waits for."""
        members = [
            m for m, _ in self.members.values() if m.plan.projection is source.first.projection
        ]
        return [member.plan.name for member in members]

    def _moves_otherwise(self, source: Source) -> bool:
        """Whether a runner moves more than the rows that are read, or none at all: starting it
        anew may have failed, or have been cancelled.
        """
        moved = self._runs and source.first.name not in self.inline
        return moved and len(self._moves(source)) != 1

    async def _open_inline(self, store: ReadStore, plans: list[Plan], *, refuse: bool) -> None:
        runner = Runner(self._hinge, store, plans, parks=False)
        await runner.catch_up()
        arrivals = self._hinge.arrivals
        for member in runner.members:
            if member.runs and member.parking.lanes:
                member.state = "failed"
                first = min(lane.name for lane in member.parking.lanes)
                arrivals.stop(
                    member.plan.name,
                    f"{first!r} is parked, and an inline projection parks nothing. Make it "
                    f"asynchronous and retry: diptych parked retry {member.plan.name}",
                )
            if refuse and not member.runs:
                raise ConfigurationError(
                    f"the inline projection {member.plan.name} cannot take part: "
                    f"{arrivals.trouble(member.plan.name)}"
                )
        self.left_out.update(
            (m.plan.name, arrivals.trouble(m.plan.name)) for m in runner.members if not m.runs
        )
        # A log keeps its participants when it is closed: none may join twice.
        new = [m.plan for m in runner.members if m.runs and m.plan.name not in self._joined]
        if new:
            self._hinge.log.join(InlineProjections(self._hinge.registry, store, new))
            self._joined.update(plan.name for plan in new)

    @staticmethod
    def _by_store(sources: Iterable[Source]) -> list[tuple[ReadStore, list[Source]]]:
        found: dict[int, tuple[ReadStore, list[Source]]] = {}
        for source in sources:
            found.setdefault(id(source.store), (source.store, []))[1].append(source)
        return list(found.values())


def _kept(plan: Plan) -> str:
    return "" if plan.table.view is None else plan.table.view.kept
