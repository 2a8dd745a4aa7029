"""Rebuilding: the log folded again from the first event, in place or beside what is read.

Projections are pure, so a replay does nothing outside of its rows. It carries its checkpoint, so a
rebuild that was killed goes on where it was.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from diptych.errors import (
    CheckpointMoved,
    ConfigurationError,
    LeaseLost,
    ProjectionFailed,
    StaleRead,
    StoreError,
)
from diptych.queries.fold import keys_of
from diptych.queries.parked import Parked
from diptych.queries.projection import Plan
from diptych.queries.read_store import Change, Find, ReadStore
from diptych.queries.standings import Generation, Role
from diptych.sync.generations import being_built, next_generation, of_generation
from diptych.sync.hinge import Hinge
from diptych.sync.lease import Leases, held, holding
from diptych.sync.runner import Runner
from diptych.sync.step import REBUILD_BATCH
from diptych.sync.subscription import Subscription
from diptych.sync.terms import read_terms

__all__ = ["Progress", "Rebuild"]

Progress = Callable[[int, int], None]
"""Called with the number of events folded so far and in all."""

CLOSE = 1_000
"""So few events behind, the last of them are folded while the rows that are read stand still."""

_ROUNDS = 20
_AT_ONCE = 5_000

_IN_PLACE = "rebuilding it in place"


class Rebuild:
    """Makes the rows of one projection anew, and decides which of them are read.

    `throttle` is the most events per second that are folded; None: as many as can be. With `parks`
    False (inline) it ends at an event that fails.
    """

    def __init__(
        self,
        hinge: Hinge,
        store: ReadStore,
        plan: Plan,
        *,
        throttle: float | None = None,
        progress: Progress | None = None,
        parks: bool = True,
    ) -> None:
        if throttle is not None and not 0 < throttle < math.inf:  # nor nan
            raise ConfigurationError(
                f"throttle={throttle!r}: events per second are a number, and more than 0."
            )
        if plan.table.view is not None:
            raise ConfigurationError(
                f"{plan.name} is a view: the database computes it. Refresh it instead."
            )
        self._hinge = hinge
        self._store = store
        self._plan = plan
        self._throttle = throttle
        self._progress = progress
        self._parks = parks
        self._level: dict[str, int] = {}

    # ---------------------------------------------------------------------------------- in place

    async def in_place(self, name: str) -> None:
        """Forget the rows of a generation and fold the log again; queries see them come back.

        Whoever moves it stands aside meanwhile. What fails is parked. A rebuild that was killed,
        and that no runner has gone on with, goes on. Raises ProjectionFailed when the projection
        must stop, StoreError.
        """
        plan = of_generation(self._plan, name)
        found = await self._store.checkpoint(name)
        begun = read_terms(found.lease).why == _IN_PLACE and self._made_by_us(found.fingerprint)
        environment = self._hinge.environment
        # Under another name at first: whoever is killed before the rows are gone has not begun.
        why = _IN_PLACE if begun else "emptying it to rebuild it in place"
        log = "" if begun else self._hinge.log.identity
        async with holding(self._store, name, environment, why, log) as leases:
            epoch = leases.held[name]
            if not begun:
                await self._store.reset(plan.table, epoch)
                # Who has waited for the old rows, and reads these, is to see that they are others.
                epoch = await leases.renew(name, _IN_PLACE)
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
            if not await self._skips(name, epoch):
                await self._store.reset(plan.table, epoch)  # it has folded what was skipped since
                await self._skips(name, epoch)
            await self._catch_up(plan, epoch)
        return name

    @asynccontextmanager
    async def level(self, why: str, *, equal: bool = False) -> AsyncIterator[tuple[str, str]]:
        """The generation that is read, and the one built last, standing still: the new one is not
        behind; with `equal` both are at one position.

        Raises ConfigurationError when nothing was built, or something was skipped since, StaleRead
        when one never comes as far as the other.
        """
        old, new, plan = await self._old_and_new()
        environment = self._hinge.environment
        async with held(self._store, new.name, environment, why) as epoch:
            await self._come_close(plan, epoch, old.name)
            moved_here = not plan.table.made_otherwise(old.fingerprint)
            if equal and not moved_here:
                await self._wait_for(old.name, (await self._store.checkpoint(new.name)).position)
            async with held(self._store, old.name, environment, why) as old_epoch:
                stands = await self._store.checkpoints([old.name, new.name])
                ours, theirs = stands[new.name].position, stands[old.name].position
                await self._catch_up(plan, epoch, theirs)
                if equal and theirs < ours and moved_here:
                    await self._catch_up(of_generation(self._plan, old.name), old_epoch, ours)
                if not await self._skips(new.name, epoch):
                    raise ConfigurationError(
                        f"events were skipped in {old.name} that {new.name} has folded; nothing "
                        f"was changed. Build it again: diptych projections build {self._plan.name}"
                    )
                self._level = {old.name: old_epoch, new.name: epoch}
                yield old.name, new.name

    async def looks_different(self) -> bool:
        """Whether the rows that are read have other fields than those built."""
        old, _, _ = await self._old_and_new()
        if not self._plan.table.made_otherwise(old.fingerprint):
            return False
        try:
            await self._store.find(old.name, Find(limit=1))
        except StoreError as error:
            if error.retryable:
                raise
            return True
        return False

    async def touched(self, after: int, upto: int) -> set[str]:
        """The keys of the rows that events of the log touch."""
        log, registry = self._hinge.log, self._hinge.registry
        subscription = Subscription(log, registry, list(self._plan.steps))
        keys: set[str] = set()
        while after < upto:
            delivery = await subscription.deliver(after, _AT_ONCE, upto)
            for envelope in delivery.envelopes:
                with contextlib.suppress(ProjectionFailed):  # then it is parked, and touches none
                    step = self._plan.steps[type(envelope.event)]
                    keys.update(keys_of(self._plan, step, envelope))
            after = delivery.upto if delivery.broken is None else delivery.broken[0].position
        return keys

    async def _old_and_new(self) -> tuple[Generation, Generation, Plan]:
        generations = await self._store.generations(self._plan.name)
        old = _with_role(generations, "served", self._plan)
        new = being_built(self._plan, generations)
        if new is None:
            raise _none("was built", generations, self._plan)
        plan = of_generation(self._plan, new.name)
        if not self._made_by_us(new.fingerprint):
            raise ConfigurationError(
                f"{new.name} was built by other code than this. Switch with the release that built "
                "it, or build again."
            )
        await self._store.open([plan.table])
        return old, new, plan

    async def switch(self, old: str, new: str) -> None:
        """Have `new` read instead of `old`, while they are level.

        The old one is kept, and moved on, to be switched back to. Raises ConfigurationError when
        somebody else has switched, LeaseLost when somebody has taken one of them meanwhile.
        """
        before: dict[str, Role] = {old: "served", new: "building"}
        await self._give_roles(before, {old: "kept", new: "served"}, self._level)

    async def switch_back(self) -> str:
        """Have the generation that was kept read again; its name.

        It must have come as far as the present one, which whoever moves it sees to. Raises
        ConfigurationError when none is kept, StaleRead when it is too far behind.
        """
        generations = await self._store.generations(self._plan.name)
        old = _with_role(generations, "kept", self._plan)
        new = _with_role(generations, "served", self._plan)
        # This release has opened what it reads; the other generation may be that of another one.
        await self._store.open([of_generation(self._plan, one.name).table for one in (old, new)])
        environment, why = self._hinge.environment, f"switching back to {old.name}"
        before: dict[str, Role] = {old.name: "kept", new.name: "served"}
        after: dict[str, Role] = {old.name: "served", new.name: "building"}
        async with held(self._store, new.name, environment, why) as served:
            stands = (await self._store.checkpoint(new.name)).position
            plan = of_generation(self._plan, old.name)
            if plan.table.made_otherwise(old.fingerprint):
                await self._wait_for(old.name, stands)  # moved by the release that made it
                await self._give_roles(before, after, {new.name: served})
            else:
                async with held(self._store, old.name, environment, why) as epoch:
                    await self._catch_up(plan, epoch, stands)
                    await self._give_roles(before, after, {new.name: served, old.name: epoch})
        return old.name

    async def retire(self) -> list[str]:
        """Stop moving the generations that are kept; the names of all that are not read."""
        generations = await self._store.generations(self._plan.name)
        kept = [one.name for one in generations if one.role == "kept"]
        if kept:
            await self._give_roles(dict.fromkeys(kept, "kept"), dict.fromkeys(kept, "building"), {})
        return [one.name for one in generations if one.role != "served"]

    async def drop(self, name: str) -> None:
        """Remove a generation that is not read.

        Raises ConfigurationError for one that is, LeaseLost when others have taken it meanwhile.
        """
        table = of_generation(self._plan, name).table
        leases = Leases(
            self._store, [name], self._hinge.environment, shares=False, why=f"dropping {name}"
        )
        if name not in [one.name for one in await self._store.generations(self._plan.name)]:
            return  # somebody else has; opening it would make it anew
        await self._store.open([table])
        await leases.seize()  # whoever moved it, or wants to switch to it, changes nothing any more
        epoch = leases.held[name]
        if (await self._store.checkpoint(name)).role == "served":
            await leases.release()
            raise ConfigurationError(
                f"{name} is read, so it is not dropped. Switch to another generation before."
            )
        # Under the fence: whoever was stopped here must not drop what others read since.
        await self._store.drop(table, epoch)

    # ----------------------------------------------------------------------------------- moving

    async def _catch_up(self, plan: Plan, epoch: int, upto: int | None = None) -> None:
        runner = Runner(self._hinge, self._store, [plan], parks=self._parks)
        member = runner.members[0]
        member.epoch = epoch
        await runner.find_checkpoints()
        # Rows of a log that was restored to an older state may stand beyond its end.
        head = await self._hinge.log.head()
        head = head if upto is None else min(head, upto)
        largest = REBUILD_BATCH
        if self._throttle is not None:
            largest = max(1, min(1_000, int(self._throttle / 4)))
        try:
            while member.runs and member.position < head:
                await self._step(runner, head, largest)
        finally:
            await runner.forget_ahead()
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

    async def _step(self, runner: Runner, head: int, largest: int) -> None:
        member = runner.members[0]
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

    async def _come_close(self, plan: Plan, epoch: int, other: str) -> None:
        for _ in range(_ROUNDS):
            await self._catch_up(plan, epoch, (await self._store.checkpoint(other)).position)
            theirs = (await self._store.checkpoint(other)).position
            theirs = min(theirs, await self._hinge.log.head())
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

    async def _give_roles(
        self, before: Mapping[str, Role], after: Mapping[str, Role], epochs: Mapping[str, int]
    ) -> None:
        """Switch, if all of `epochs` are still held: then they stand where they stood."""
        if await self._store.switch(before, after, epochs):
            return
        for name, info in (await self._store.checkpoints(list(epochs))).items():
            if info.lease.epoch != epochs[name]:
                raise LeaseLost(
                    f"somebody else has taken {name} meanwhile; nothing was switched. Try again.",
                    projection=name,
                    epoch=epochs[name],
                    actual=info.lease.epoch,
                )
        raise ConfigurationError(
            f"somebody else has switched {self._plan.name} meanwhile; nothing was changed. "
            "Look at its generations and decide again."
        )

    async def _skips(self, name: str, epoch: int) -> bool:
        """Skip in a generation what is skipped in the rows that are read; False: it is too late."""
        known = {(one.lane, one.position) for one in _skipped(await self._store.parked(name))}
        generations = await self._store.generations(self._plan.name)
        served = _with_role(generations, "served", self._plan).name
        missing = [
            one
            for one in _skipped(await self._store.parked(served))
            if (one.lane, one.position) not in known
        ]
        if missing:
            stands = (await self._store.checkpoint(name)).position
            if missing[0].position <= stands:
                return False
            await self._store.apply([Change(name, stands, stands, epoch=epoch, parked=missing)])
        return True

    def _made_by_us(self, fingerprint: str) -> bool:
        table = self._plan.table
        return not table.made_otherwise(fingerprint) and not table.coded_otherwise(fingerprint)


def _skipped(entries: Sequence[Parked]) -> list[Parked]:
    return [one for one in entries if not one.waits]


def _with_role(generations: Sequence[Generation], role: str, plan: Plan) -> Generation:
    found = [one for one in generations if one.role == role]
    if not found:
        raise _none(f"is {role}", generations, plan)
    return found[-1]


def _none(what: str, generations: Sequence[Generation], plan: Plan) -> ConfigurationError:
    told = ", ".join(f"{one.name} ({one.role})" for one in generations) or "none"
    return ConfigurationError(
        f"{plan.name} has no generation that {what}; there are {told}. Build one first: "
        f"diptych projections build {plan.name}"
    )
