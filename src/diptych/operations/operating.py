"""What an application offers to the people who run it: in step, right, rebuilt, audited."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diptych.environment import Environment
from diptych.errors import ConfigurationError
from diptych.events.log import EventLog
from diptych.operations.drift.drift import Drift
from diptych.operations.drift.refold import Ground
from diptych.operations.drift.results import Verification
from diptych.operations.drift.verifying import Progress
from diptych.operations.generations import Generations
from diptych.operations.parked.parked_events import ParkedEvents
from diptych.operations.trail.trail import Trail
from diptych.parts import Parts
from diptych.queries.ask import Asker
from diptych.queries.projection import Plan
from diptych.queries.replicas import Replicas, ReplicaStatus
from diptych.queries.source import Source
from diptych.sync.freshness import Waiting
from diptych.sync.handling import Handling
from diptych.sync.hinge import Hinge
from diptych.sync.panels import Panels
from diptych.sync.settling import settle
from diptych.sync.standing import statuses
from diptych.sync.status import ProjectionStatus

__all__ = ["Operating"]


class Operating:
    """The half of an App that answers no command and no query."""

    name: str
    environment: Environment
    log: EventLog
    sources: dict[type, Source]
    _parts: Parts
    _panels: Panels
    _hinge: Hinge
    _handling: Handling
    _freshness: Waiting
    _replicas: Replicas
    _asker: Asker

    async def _opened(self) -> None:
        raise NotImplementedError

    async def load(self, kind: Any, key: object, *, version: int | None = None) -> Any:
        """The write model's state of an aggregate (by class) or decider; at `version` if given."""
        raise NotImplementedError

    # -- in step ---------------------------------------------------------------------------------

    async def settle(self, within_s: float = 5.0) -> None:
        """Wait until every projection and every event handler has come to the present head, and
        nothing is parked.

        Raises StaleRead that says who is behind, before which event, and why, once every
        projection has come as far as it can.
        """
        await self._opened()
        sources = [*self._panels.sources, *self._handling.sources]
        await settle(sources, self.log, self._freshness, within_s)

    async def status(self) -> list[ProjectionStatus]:
        """Where every projection stands, in the order they were listed; then event handlers."""
        await self._opened()
        return [*await statuses(self._hinge, self._panels), *await self._handling.statuses()]

    def ended(self) -> dict[str, str]:
        """The tasks that move projections here and have ended by themselves, by name, and why."""
        return self._panels.ended()

    async def replicas(self) -> list[ReplicaStatus]:
        """Where every replica stands, and which are alive, in the order they were listed."""
        await self._opened()
        return await self._replicas.status()

    async def refresh(self, view: type | str) -> None:
        """Compute a materialized view anew, while others read it; any other view needs none.

        Returns when it shows everything that was committed before the call. Raises
        ConfigurationError for a projection, which is moved by its runner.
        """
        await self._opened()
        plan = self.plan_named(view)
        if plan.table.view is None:
            raise ConfigurationError(
                f"{plan.name} is a projection: it follows the log by itself. Wait for it with "
                "ask(..., after=token) or settle()."
            )
        if plan.name in self._panels.refreshing:
            await self._panels.refreshing[plan.name].refresh()

    # -- right -----------------------------------------------------------------------------------

    @property
    def drift(self) -> Drift:
        """Verification, repair and patrol of the read models."""
        ground = Ground(self.log, self._parts.registry, self.environment)
        return Drift(
            ground,
            lambda: [
                (source.plan, source.store)
                for source in self._panels.sources
                if source.plan.table.view is None
            ],
        )

    async def verify(
        self,
        progress: Progress | None = None,
        *,
        projections: Sequence[type | str] = (),
        **selected: Any,
    ) -> Verification:
        """Fold the log again and compare the rows of read models with it, while everything goes on.

        Of all projections, or of those given; all their rows, or those `selected` says (`keys=`,
        `sample=`, `tenant=`). See Drift.verify, which says what is raised.
        """
        await self._opened()
        sources = [self.sources[self.plan_named(one).projection] for one in projections]
        names = [source.plan.name for source in sources]
        return await self.drift.verify(names, progress, **selected)

    @property
    def trail(self) -> Trail:
        """Who did what, when and why; states and rows as they were; tamper evidence."""
        return Trail(
            self.log,
            self._parts,
            lambda kind, key, at: self.load(kind, key, version=at),
            self.sources,
            self._opened,
        )

    @property
    def parked(self) -> ParkedEvents:
        """What projections could not fold, and event handlers not do: look at it, retry it, skip
        it; see ParkedEvents.
        """
        return ParkedEvents(
            self._hinge,
            lambda: [*self._panels.sources, *self._handling.sources],
            self._opened,
        )

    # -- rebuilt ---------------------------------------------------------------------------------

    def generations(self, projection: type | str) -> Generations:
        """The sets of rows of a projection: build one beside, compare, switch, switch back, drop.

        Raises ConfigurationError for a name that is no projection.
        """
        return Generations(
            self._panels, self._source(projection), self._opened, self._asker.handler_of
        )

    async def rebuild(
        self,
        projection: type | str,
        *,
        in_place: bool | None = None,
        throttle: float | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Fold the log again from the first event, with no other effect than rows.

        The new rows are built beside those that are read, which are replaced in one moment and
        removed then: queries go on throughout. With `in_place`, and for a projection that is inline
        or writes its own SQL, they see the rows come back one by one instead. At most `throttle`
        events a second are folded. What was killed goes on where it was when it is called again.

        Raises ProjectionFailed when the projection must stop, StoreError.
        """
        await self._opened()
        source = self._source(projection)
        if source.plan.table.view is not None:
            if source.first.name in self._panels.refreshing:
                await self._panels.refreshing[source.first.name].refresh()
            return
        beside = source.first.shape is not None and source.first.name not in self._panels.inline
        if in_place is None:
            in_place = not beside
        generations = self.generations(projection)
        if in_place:
            await generations.rebuild_in_place(throttle=throttle, progress=progress)
        else:
            await generations.build(throttle=throttle, progress=progress)
            await generations.switch()
            await generations.drop()

    # -- names -----------------------------------------------------------------------------------

    def plan_named(self, projection: type | str) -> Plan:
        """The plan of a projection by class, read model class, or name."""
        if not isinstance(projection, str):
            return self._parts.plan_for(projection)
        for plan in self._parts.plans.values():
            if projection in (plan.name, plan.projection.__name__):
                return plan
        names = ", ".join(plan.name for plan in self._parts.plans.values()) or "none"
        raise ConfigurationError(f"{self.name} has no projection {projection!r}; it has {names}.")

    def _source(self, projection: type | str) -> Source:
        return self.sources[self.plan_named(projection).projection]
