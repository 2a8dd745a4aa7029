"""Rebuilding: the log folded again from the first event, in place or beside what is read.

Projections are pure, so a replay does nothing outside of its rows. It carries its checkpoint, so a
rebuild that was killed goes on where it was.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from diptych.errors import CheckpointMoved, ConfigurationError, ProjectionFailed, StaleRead
from diptych.queries.parked import Parked
from diptych.queries.projection import Plan
from diptych.queries.read_store import Change, ReadStore
from diptych.queries.standings import Generation
from diptych.sync.generations import next_generation, of_generation
from diptych.sync.hinge import Hinge
from diptych.sync.lease import Leases, held
from diptych.sync.runner import Runner

__all__ = ["Progress", "Rebuild"]

Progress = Callable[[int, int], None]
"""Called with the number of events folded so far and in all."""

CLOSE = 1_000
"""So few events behind, the last of them are folded while the rows that are read stand still."""

_ROUNDS = 20


class Rebuild:
    """Makes the rows of one projection anew, and decides which of them are read.

    `throttle` is the most events per second that are folded; None: as many as can be.
    """

    def __init__(
        self,
        hinge: Hinge,
        store: ReadStore,
        plan: Plan,
        *,
        throttle: float | None = None,
        progress: Progress | None = None,
    ) -> None:
        if throttle is not None and throttle <= 0:
            raise ConfigurationError(f"throttle={throttle!r}: events per second are more than 0.")
        if plan.table.view is not None:
            raise ConfigurationError(
                f"{plan.name} is a view: the database computes it. Refresh it instead."
            )
        self._hinge = hinge
        self._store = store
        self._plan = plan
        self._throttle = throttle
        self._progress = progress

    # ---------------------------------------------------------------------------------- in place

    async def in_place(self, name: str) -> None:
        """Forget the rows of a generation and fold the log again; queries see them come back.

        Whoever moves it stands aside meanwhile. What fails is parked. Raises ProjectionFailed when
        the projection must stop, StoreError.
        """
        plan = of_generation(self._plan, name)
        environment = self._hinge.environment
        async with held(self._store, name, environment, "rebuilding it in place") as epoch:
            await self._store.reset(plan.table)
            await self._catch_up(plan, epoch)

    # ------------------------------------------------------------------------------------ beside

    async def build(self) -> str:
        """Build new rows beside those that are read, up to the head; the generation's name.

        A build that was begun by the same code, and killed, is gone on with. What was skipped by
        hand stays skipped. Raises ProjectionFailed, StoreError, and ConfigurationError for a
        projection with tables of its own, whose names are in its SQL.
        """
        if self._plan.shape is None:
            raise ConfigurationError(
                f"{self._plan.name} writes its own SQL to tables it names itself, so it cannot be "
                "built beside itself. Rebuild it in place, or list a second projection with other "
                "tables."
            )
        name = await next_generation(self._store, self._plan)
        plan = of_generation(self._plan, name)
        await self._store.open([plan.table])
        async with held(self._store, name, self._hinge.environment, f"building {name}") as epoch:
            if (await self._store.checkpoint(name)).position == 0:
                skipped = [one for one in await self._served_parked() if one.because == "skipped"]
                if skipped:
                    await self._store.apply([Change(name, 0, 0, epoch=epoch, parked=skipped)])
            await self._catch_up(plan, epoch)
        return name

    @asynccontextmanager
    async def level(self, why: str) -> AsyncIterator[tuple[str, str]]:
        """The generation that is read, and the one built last, standing still at one position.

        Raises ConfigurationError when nothing was built, StaleRead when the new one never comes
        close.
        """
        generations = await self._store.generations(self._plan.name)
        old = _with_role(generations, "served", self._plan)
        new = _with_role(generations, "building", self._plan)
        plan = of_generation(self._plan, new.name)
        if plan.table.made_otherwise(new.fingerprint):
            raise ConfigurationError(
                f"{new.name} was built by other code than this. Switch with the release that built "
                "it, or build again."
            )
        environment = self._hinge.environment
        await self._store.open([plan.table])
        async with held(self._store, new.name, environment, why) as epoch:
            await self._come_close(plan, epoch, old.name)
            async with held(self._store, old.name, environment, why):
                stands = (await self._store.checkpoint(old.name)).position
                await self._catch_up(plan, epoch, stands)
                yield old.name, new.name

    async def switch(self, old: str, new: str) -> None:
        """Have `new` read instead of `old`, while they are level.

        The old one is kept, and moved on, to be switched back to. Raises ConfigurationError when
        somebody else has switched.
        """
        await self._give_roles({old: "served", new: "building"}, {old: "kept", new: "served"})

    async def switch_back(self) -> str:
        """Have the generation that was kept read again; its name.

        It must have come as far as the present one, which whoever moves it sees to. Raises
        ConfigurationError when none is kept, StaleRead when it is too far behind.
        """
        generations = await self._store.generations(self._plan.name)
        old = _with_role(generations, "kept", self._plan)
        new = _with_role(generations, "served", self._plan)
        environment = self._hinge.environment
        async with held(self._store, new.name, environment, f"switching back to {old.name}"):
            stands = (await self._store.checkpoint(new.name)).position
            plan = of_generation(self._plan, old.name)
            if plan.table.made_otherwise(old.fingerprint):
                await self._wait_for(old.name, stands)  # moved by the release that made it
            else:
                await self._store.open([plan.table])
                async with held(
                    self._store, old.name, environment, f"switching back to {old.name}"
                ) as epoch:
                    await self._catch_up(plan, epoch, stands)
            await self._give_roles(
                {old.name: "kept", new.name: "served"},
                {old.name: "served", new.name: "building"},
            )
        return old.name

    async def retire(self) -> list[str]:
        """Stop moving the generations that are kept; the names of all that are not read."""
        generations = await self._store.generations(self._plan.name)
        kept = [one.name for one in generations if one.role == "kept"]
        if kept:
            await self._give_roles(dict.fromkeys(kept, "kept"), dict.fromkeys(kept, "building"))
        return [one.name for one in generations if one.role != "served"]

    async def drop(self, name: str) -> None:
        """Remove a generation that is not read."""
        leases = Leases(
            self._store, [name], self._hinge.environment, shares=False, why=f"dropping {name}"
        )
        await self._store.open([of_generation(self._plan, name).table])
        await leases.seize()  # whoever moved it changes nothing any more
        await self._store.drop(of_generation(self._plan, name).table)

    # ----------------------------------------------------------------------------------- moving

    async def _catch_up(self, plan: Plan, epoch: int, upto: int | None = None) -> None:
        runner = Runner(self._hinge, self._store, [plan])
        member = runner.members[0]
        member.epoch = epoch
        await runner.find_checkpoints()
        head = await self._hinge.log.head() if upto is None else upto
        largest = 25_000 if self._throttle is None else max(1, min(1_000, int(self._throttle / 4)))
        while member.runs and member.position < head:
            before, started = member.position, self._hinge.environment.monotonic_s()
            try:
                await runner.step(head, largest)
            except CheckpointMoved:  # an append has moved it, inline
                await runner.find_checkpoints()
            if self._progress is not None:
                self._progress(min(member.position, head), head)
            if self._throttle is not None:
                took = self._hinge.environment.monotonic_s() - started
                owed = (member.position - before) / self._throttle - took
                await self._hinge.environment.sleep(max(0.0, owed))
        if member.error is not None:
            raise member.error
        if not member.runs:
            raise ProjectionFailed(
                f"{plan.name} cannot be folded: {self._hinge.arrivals.trouble(plan.name)}",
                projection=plan.name,
                position=member.position,
                event_type="",
                stream="",
            )

    async def _come_close(self, plan: Plan, epoch: int, other: str) -> None:
        for _ in range(_ROUNDS):
            await self._catch_up(plan, epoch)
            theirs = (await self._store.checkpoint(other)).position
            if theirs - (await self._store.checkpoint(plan.name)).position <= CLOSE:
                return
        raise StaleRead(
            f"{plan.name} does not catch up with {other}: events arrive faster than it folds them. "
            "Switch when fewer arrive, or without a throttle.",
            projection=plan.name,
        )

    async def _wait_for(self, name: str, position: int) -> None:
        for _ in range(_ROUNDS * 5):
            if (await self._store.checkpoint(name)).position >= position:
                return
            await self._hinge.environment.sleep(0.1)
        raise StaleRead(
            f"{name} is not at position {position}, where the present rows are. The release that "
            "made it must run to move it there.",
            projection=name,
            wanted=position,
        )

    async def _give_roles(self, before: dict[str, str], after: dict[str, str]) -> None:
        if not await self._store.switch(before, after):  # type: ignore[arg-type]
            raise ConfigurationError(
                f"somebody else has switched {self._plan.name} meanwhile; nothing was changed. "
                "Look at its generations and decide again."
            )

    async def _served_parked(self) -> list[Parked]:
        for one in await self._store.generations(self._plan.name):
            if one.role == "served":
                return await self._store.parked(one.name)
        return []


def _with_role(generations: Sequence[Generation], role: str, plan: Plan) -> Generation:
    found = [one for one in generations if one.role == role]
    if not found:
        told = ", ".join(f"{one.name} ({one.role})" for one in generations) or "none"
        raise ConfigurationError(
            f"{plan.name} has no generation that is {role}; there are {told}. Build one first: "
            f"diptych projections build {plan.name}"
        )
    return found[-1]
