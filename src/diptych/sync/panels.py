"""All projections of one application: which run inline, which in a runner; start and stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from diptych.errors import ConfigurationError
from diptych.events.delay import delay_s
from diptych.queries.projection import Plan
from diptych.queries.read_store import Capability, ReadStore
from diptych.sync.hinge import Hinge
from diptych.sync.inline import InlineProjections
from diptych.sync.member import Member
from diptych.sync.refreshing import Refreshing
from diptych.sync.runner import Runner, changed
from diptych.sync.status import Mode, ProjectionStatus, State

__all__ = ["Panels"]

_log = logging.getLogger("diptych")


class Panels:
    """Keeps the right panel in step with the left one: one runner per read store.

    `left_out` names the inline ones that cannot take part, and why: no command must be accepted
    then.
    """

    def __init__(
        self,
        hinge: Hinge,
        kept: Sequence[tuple[Plan, ReadStore]],
        inline: set[str],
    ) -> None:
        self._hinge = hinge
        self._kept = kept
        self._inline = inline
        self._runners: list[Runner] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._joined: set[str] = set()
        self.left_out: dict[str, str] = {}
        self.refreshing = {
            plan.name: Refreshing(hinge, store, plan)
            for plan, store in kept
            if plan.table.view is not None and plan.table.view.kept == "materialized"
        }
        for plan, store in kept:
            if plan.name in inline and Capability.INLINE not in store.capabilities:
                raise ConfigurationError(
                    f"{plan.name} cannot be inline: its store cannot take part in transactions."
                )

    async def open(self, *, run: bool) -> None:
        """Open the read stores; bring inline projections to the head; start the runners."""
        for store, plans in self._by_store(self._kept):
            await store.open([plan.table for plan in plans])
        folded = [(plan, store) for plan, store in self._kept if plan.table.view is None]
        inline = [(plan, store) for plan, store in folded if plan.name in self._inline]
        self.left_out.clear()
        for store, plans in self._by_store(inline):
            await self._open_inline(store, plans, refuse=run)
        if run:
            later = [(plan, store) for plan, store in folded if plan.name not in self._inline]
            for store, plans in self._by_store(later):
                runner = self._runner(store, plans)
                self._runners.append(runner)
                self._tasks.append(
                    asyncio.create_task(runner.run(), name=f"projections of {store!r}")
                )
            self._tasks += [
                asyncio.create_task(one.run(), name=f"refreshing {one.plan.name}")
                for one in self.refreshing.values()
                if one.plan.refreshed_after
            ]

    async def close(self) -> None:
        """Stop the runners, let a refresh finish, and close the stores."""
        for task in self._tasks:
            task.cancel()
        for ended in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                _log.error("a projection runner had ended with an error", exc_info=ended)
        for one in self.refreshing.values():
            await one.finish()
        self._tasks.clear()
        self._runners.clear()
        self._hinge.arrivals.forget()
        for store, _ in self._by_store(self._kept):
            await store.close()

    async def rebuild(self, name: str) -> None:
        """Forget a projection's rows and fold the log again; raise what it fails on.

        The rows of a view are computed anew.
        """
        if name in self.refreshing:
            await self.refreshing[name].refresh()
            return
        if self._tasks:
            raise ConfigurationError(
                f"{name} is being run by this application; open it with "
                "projections=False to rebuild."
            )
        for plan, store in self._kept:
            if plan.name == name and plan.table.view is None:
                await store.reset(plan.table)
                runner = self._runner(store, [plan])
                await runner.catch_up()
                for member in runner.members:
                    if member.error is not None:
                        raise member.error

    async def status(self) -> list[ProjectionStatus]:
        """Where every projection stands."""
        head = await self._hinge.log.head()
        members = {m.plan.name: (m, r) for r in self._runners for m in r.members}
        made = []
        for plan, store in self._kept:
            found = await store.checkpoint(plan.name)
            lag = max(0, head - found.position)
            member, runner = members.get(plan.name, (None, None))
            made.append(
                ProjectionStatus(
                    name=plan.name,
                    mode=self._mode(plan),
                    state=self._state(plan, member, lag, found.fingerprint),
                    position=found.position,
                    head=head,
                    lag_events=lag,
                    delay_s=await self._delay(found.position, lag),
                    events_per_s=runner.folded / runner.busy_s if runner and runner.busy_s else 0.0,
                    why=self._why(plan, found.fingerprint),
                )
            )
        return made

    async def _open_inline(self, store: ReadStore, plans: list[Plan], *, refuse: bool) -> None:
        runner = self._runner(store, plans)
        await runner.catch_up()
        for member in runner.members:
            if refuse and not member.runs:
                raise ConfigurationError(
                    f"the inline projection {member.plan.name} cannot take part: "
                    f"{self._hinge.arrivals.trouble(member.plan.name)}"
                )
        self.left_out.update(
            (m.plan.name, self._hinge.arrivals.trouble(m.plan.name))
            for m in runner.members
            if not m.runs
        )
        # A log keeps its participants when it is closed: none may join twice.
        new = [m.plan for m in runner.members if m.runs and m.plan.name not in self._joined]
        if new:
            self._hinge.log.join(InlineProjections(self._hinge.registry, store, new))
            self._joined.update(plan.name for plan in new)

    def _runner(self, store: ReadStore, plans: list[Plan]) -> Runner:
        return Runner(self._hinge, store, plans)

    def _mode(self, plan: Plan) -> Mode:
        if plan.table.view is not None:
            return "materialized" if plan.table.view.kept == "materialized" else "view"
        return "inline" if plan.name in self._inline else "async"

    def _state(self, plan: Plan, member: Member | None, lag: int, fingerprint: str) -> State:
        if plan.table.made_otherwise(fingerprint):
            return "changed"
        if plan.name in self._inline:
            return "inline"
        if plan.table.view is not None:
            return "behind" if lag else "live"
        if member is None:
            return "stopped"
        if not member.runs or member.state == "retrying":
            return member.state
        return "catching up" if lag else "live"

    def _why(self, plan: Plan, fingerprint: str) -> str:
        if plan.table.made_otherwise(fingerprint):
            return changed(plan)
        return self._hinge.arrivals.trouble(plan.name)

    async def _delay(self, position: int, lag: int) -> float:
        if not lag:
            return 0.0
        return await delay_s(self._hinge.log, self._hinge.environment, position)

    @staticmethod
    def _by_store(kept: Sequence[tuple[Plan, ReadStore]]) -> list[tuple[ReadStore, list[Plan]]]:
        found: dict[int, tuple[ReadStore, list[Plan]]] = {}
        for plan, store in kept:
            found.setdefault(id(store), (store, []))[1].append(plan)
        return list(found.values())
