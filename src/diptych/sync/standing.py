"""Where all projections of an application stand, told from their stores and their runners."""

from __future__ import annotations

from diptych.events.delay import delay_s
from diptych.queries.parked import waiting_lanes
from diptych.queries.source import Source
from diptych.queries.standings import CheckpointInfo
from diptych.sync.hinge import Hinge
from diptych.sync.member import Member
from diptych.sync.panels import Panels
from diptych.sync.runner import Runner, changed, code_changed
from diptych.sync.status import Mode, ProjectionStatus, State
from diptych.sync.terms import Terms, read_terms

__all__ = ["statuses"]


async def statuses(hinge: Hinge, panels: Panels) -> list[ProjectionStatus]:
    """Where every projection stands, in the order they were listed."""
    head = await hinge.log.head()
    return [await _Standing(hinge, panels, source, head).status() for source in panels.sources]


class _Standing:
    """One projection, as its store and its runner tell."""

    def __init__(self, hinge: Hinge, panels: Panels, source: Source, head: int) -> None:
        self._hinge = hinge
        self._source = source
        self._head = head
        self._inline = source.first.name in panels.inline
        self._member: Member | None = None
        self._runner: Runner | None = None
        if source.plan.name in panels.members:
            self._member, self._runner = panels.members[source.plan.name]

    async def status(self) -> ProjectionStatus:
        """See ProjectionStatus."""
        hinge, source, member = self._hinge, self._source, self._member
        found = await source.store.checkpoint(source.plan.name)
        terms = read_terms(found.lease)
        lag = max(0, self._head - found.position)
        rate = self._rate()
        return ProjectionStatus(
            name=source.first.name,
            mode=self._mode(),
            state=self._state(found, terms, lag),
            position=found.position,
            head=self._head,
            lag_events=lag,
            delay_s=await delay_s(hinge.log, hinge.environment, found.position) if lag else 0.0,
            events_per_s=rate,
            why=self._why(found, terms),
            owner=terms.owner,
            epoch=found.lease.epoch,
            parked_keys=await self._parked_keys() if found.parks else 0,
            eta_s=0.0 if not lag else (lag / rate if rate else None),
            errors=member.parking.errors if member is not None else 0,
            generation=source.plan.name,
        )

    def _rate(self) -> float:
        runner = self._runner
        return runner.folded / runner.busy_s if runner is not None and runner.busy_s else 0.0

    def _mode(self) -> Mode:
        view = self._source.first.table.view
        if view is not None:
            return "materialized" if view.kept == "materialized" else "view"
        return "inline" if self._inline else "async"

    def _state(self, found: CheckpointInfo, terms: Terms, lag: int) -> State:
        if self._source.plan.table.made_otherwise(found.fingerprint):
            return "changed"
        if self._inline:
            return "inline"
        if self._source.plan.table.view is not None:
            return "behind" if lag else "live"
        if self._member is not None and self._member.state in ("failed", "changed", "retrying"):
            return self._member.state
        process = terms.owner.rpartition("/")[0]
        if not terms.owner or self._hinge.environment.is_gone(process):
            return "stopped"
        return "catching up" if lag else "live"

    def _why(self, found: CheckpointInfo, terms: Terms) -> str:
        if self._source.plan.table.made_otherwise(found.fingerprint):
            return changed(self._source.first)
        trouble = self._hinge.arrivals.trouble(self._source.plan.name)
        if not trouble and self._source.plan.table.coded_otherwise(found.fingerprint):
            return code_changed(self._source.first)
        return trouble or (f"{terms.owner} is {terms.why}" if terms.why else "")

    async def _parked_keys(self) -> int:
        entries = await self._source.store.parked(self._source.plan.name)
        return len(waiting_lanes(entries))
