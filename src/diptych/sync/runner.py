"""The projection runner: keeps the asynchronous projections of one read store in step with the log.

Projections that stand at the same checkpoint move together: the log is read and decoded once, and
their rows and checkpoints are written in one transaction. One that is behind catches up alone until
it meets the others. What fails is parked (`parking`); what another process runs is left to it
(`lease`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping, Sequence

from diptych.errors import (
    CheckpointMoved,
    DiptychError,
    LeaseLost,
    LogRestored,
    OutcomeUnknown,
    StoreError,
    StoreUnavailable,
)
from diptych.queries.parked import Parked
from diptych.queries.projection import Plan
from diptych.queries.read_model import snake_case
from diptych.queries.read_store import ReadStore
from diptych.queries.standings import CheckpointInfo, Generation
from diptych.sync.generations import is_dropped, leader_of
from diptych.sync.heal import heal
from diptych.sync.hinge import Hinge
from diptych.sync.lease import LET_GO_WITHIN_S, Leases
from diptych.sync.member import Member
from diptych.sync.status import State
from diptych.sync.step import CATCH_UP_BATCH, LIVE_BATCH, REBUILD_BATCH, Stepping
from diptych.sync.terms import read_terms

__all__ = ["Runner", "changed", "code_changed"]

GATHER_S = 0.005
"""How long a runner that keeps up lets events gather while nobody waits for it: folding 64 events
in one batch costs a fifth of folding them in eight."""

LOOK_AGAIN_S = 0.25
"""How often an idle runner looks whether its leases have changed."""

FOLLOW_S = 0.02
"""How often it is asked how far the leader has come that another process moves."""

RETRY_S = (0.05, 5.0)
"""First and longest pause before a store that failed is tried again."""


_log = logging.getLogger("diptych")


class Runner:
    """Runs the projections `plans`, all in one `store`. Without `parks` they stop at what fails."""

    def __init__(
        self, hinge: Hinge, store: ReadStore, plans: Sequence[Plan], *, parks: bool = True
    ) -> None:
        self.members = [Member(plan) for plan in plans]
        self.store = store
        self.folded = 0
        self.busy_s = 0.0
        self._hinge = hinge
        self._log = hinge.log
        self._arrivals = hinge.arrivals
        self._environment = hinge.environment
        self._stepping = Stepping(hinge, store, parks=parks)
        self._leases: Leases | None = None
        self._look = asyncio.Event()
        self._died = False
        self._pause_s = RETRY_S[0]
        self._hurry = asyncio.Event()
        self._arrivals.call_when_waiting(self._hurry)

    async def run(self) -> None:
        """Share the projections with other processes, catch up, then stay live, until cancelled.

        Cancelling between batches loses nothing: what was written carries its checkpoint.
        """
        names = [member.plan.name for member in self.members]
        self._leases = Leases(
            self.store,
            names,
            self._environment,
            fits=self._can_move,
            log=self._log.identity,
        )
        self._stepping.leases = self._leases
        keeping = asyncio.create_task(self._leases.keep(self._seen), name="leases")
        try:
            while True:
                await self._go_on()
        finally:
            keeping.cancel()
            await self.forget_ahead()
            await asyncio.gather(keeping, return_exceptions=True)
            if not self._died:  # whoever waits is to be told why
                self._leave(self.members)
            with contextlib.suppress(StoreError, TimeoutError):
                async with asyncio.timeout(LET_GO_WITHIN_S):
                    await self._leases.release()

    async def _go_on(self) -> None:
        try:
            await self.find_checkpoints()
            await self._follow()
        except (CheckpointMoved, LeaseLost):
            await asyncio.sleep(0)  # another process moves them too; go on from where it is
        except (StoreUnavailable, OutcomeUnknown) as error:
            await self._pause(error)
        except Exception as error:
            if isinstance(error, StoreError) and await self._are_gone():
                await self._pause(error)  # others are read now: whoever runs this will notice
                return
            self._died = True
            for member in self.members:
                self._hold(member, "failed", None, f"its runner ended with {error!r}")
            raise

    async def _pause(self, error: Exception) -> None:
        self._trouble(f"retrying: {error}")
        chance = 0.5 + self._environment.random.random()
        await self._environment.sleep(self._pause_s * chance)
        self._pause_s = min(self._pause_s * 2, RETRY_S[1])

    async def _are_gone(self) -> bool:
        """Whether rows were dropped that this process has not noticed to be read no more."""
        try:
            return any([await self._is_gone(member) for member in self.members])
        except StoreError as error:
            return error.retryable

    async def _is_gone(self, member: Member) -> bool:
        return is_dropped(member.plan.name, await self._generations(member))

    async def catch_up(self, upto: int | None = None, largest: int = REBUILD_BATCH) -> None:
        """Come to `upto` (default: the head of this moment), then return.

        Here nobody is asked for a lease: whoever calls this has seen to it.
        """
        await self.find_checkpoints()
        head = await self._log.head() if upto is None else upto
        try:
            while any(m.runs and m.position < head for m in self.members):
                try:
                    await self.step(head, largest)
                except CheckpointMoved:
                    await self.find_checkpoints()
        finally:
            await self.forget_ahead()

    async def forget_ahead(self) -> None:
        """Forget what was read ahead; whoever calls `step` does so at the end."""
        await self._stepping.forget_ahead()

    async def find_checkpoints(self) -> None:
        """Learn from the store who runs which projection, and where every one stands."""
        self._look.clear()
        await self.forget_ahead()
        if self._leases is not None:
            seen = await self._leases.tend()
            for member in self.members:
                name = member.plan.name
                nobodys = not seen[name].lease.epoch and name not in self._leases.held
                if nobodys and not await self._is_gone(member):
                    # Without a place for its lease nobody could take it.
                    await self.store.open([member.plan.table])
        found = await self.store.checkpoints([member.plan.name for member in self.members])
        for member in self.members:
            if member.state != "failed":
                await self._find(member, found[member.plan.name])

    def _can_move(self, name: str, found: CheckpointInfo) -> bool:
        """Whether this process can move a projection at all: another may know better."""
        member = next(one for one in self.members if one.plan.name == name)
        if member.state == "failed" or member.plan.table.made_otherwise(found.fingerprint):
            return False
        return not self._is_of_another_log(found)

    def _is_of_another_log(self, found: CheckpointInfo) -> bool:
        return found.position > 0 and read_terms(found.lease).log not in ("", self._log.identity)

    async def _find(self, member: Member, found: CheckpointInfo) -> None:
        name = member.plan.name
        if self._leases is not None:
            if name not in self._leases.held:
                self._leave([member])
                if member.plan.table.made_otherwise(found.fingerprint):
                    self._hold(member, "changed", None, changed(member.plan))
                elif self._is_of_another_log(found):
                    member.position = found.position
                    self._hold(member, "failed", _of_another_log(member, self._log.identity))
                return
            if member.epoch != self._leases.held[name]:
                member.calm = 0
            member.epoch, member.terms = self._leases.held[name], self._leases.terms[name]
        member.error = None  # of a step that another runner was faster with
        member.state = "live"
        member.position = found.position
        if self._leases is not None:
            self._arrivals.take(name)
            await self._find_leader(member, found)
        if member.plan.table.made_otherwise(found.fingerprint):
            self._hold(member, "changed", None, changed(member.plan))
            return
        # The head is read after the checkpoint: another process may append and fold meanwhile.
        head = await self._log.head()
        if found.position > head:
            self._hold(member, "failed", _restored(member, head))
            return
        if member.plan.table.coded_otherwise(found.fingerprint) and not member.noticed:
            member.noticed = True
            _log.warning("%s", code_changed(member.plan))
        member.parking.learn(await self._parked(member) if found.parks else ())
        self._arrivals.arrive(name, found.position)

    async def _find_leader(self, member: Member, found: CheckpointInfo) -> None:
        member.role, member.leader, member.upto = found.role, None, None
        if found.role != "served":
            member.leader = leader_of(member.plan, await self._generations(member))

    async def _look_at_leaders(self) -> None:
        here = {m.plan.name: m.position for m in self.members if m.runs}
        for member in self.members:
            if member.runs and member.leader is not None:
                leads = here.get(member.leader)
                if leads is None:
                    # It may be one that this process has not opened: another one has built it.
                    generations = await self._generations(member)
                    leads = next((g.position for g in generations if g.name == member.leader), None)
                member.upto = leads

    async def _generations(self, member: Member) -> list[Generation]:
        return await self.store.generations(snake_case(member.plan.projection.__name__))

    async def _parked(self, member: Member) -> list[Parked]:
        """What is parked, after a retry of what only this release can read."""
        name = member.plan.name
        entries = await self.store.parked(name)
        if await heal(self._hinge, self.store, member.plan, member.epoch, entries):
            entries = await self.store.parked(name)
        return entries

    async def _follow(self) -> None:
        while not self._look.is_set():
            head = await self._log.head()
            if any(m.leader for m in self.members):
                await self._look_at_leaders()
            behind = [m for m in self.members if m.runs and m.position < head]
            if any(not m.waits for m in behind):
                await self.step(head)
                if not self._arrivals.anybody_waiting():
                    await self._gather(head)
                continue
            standing = [m.position for m in self.members if m.runs and m not in behind]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FOLLOW_S if behind else LOOK_AGAIN_S):
                    # With none to run: until a lease comes, or another process rebuilds.
                    await (self._log.wait(min(standing)) if standing else self._look.wait())
            if not standing and not behind:
                return

    async def step(self, head: int, largest: int = CATCH_UP_BATCH) -> None:
        """Move the projections that are furthest behind by one batch of at most `largest` events.

        Raises CheckpointMoved, LeaseLost and StoreUnavailable; then nothing was written.
        """
        started = self._environment.monotonic_s()
        moving = [m for m in self.members if m.runs]
        after = min(m.position for m in moving if not m.waits)
        group = [m for m in moving if m.position == after and not m.waits]
        careful = [m for m in group if m.suspicious]
        if careful:
            group = careful[:1]
        others = [m.position for m in moving if m.position > after]
        others += [m.upto for m in group if m.upto is not None]
        limit = largest if head - after > LIVE_BATCH else min(largest, LIVE_BATCH)
        limit = min(m.limit(limit) for m in group)
        until = min(others, default=None)
        more = until is None and not careful and head - after - limit > LIVE_BATCH
        await self._stepping.step(group, limit, until, more=more)
        for member in group:
            if member.error is not None:
                self._hold(member, "failed", member.error)
                await self._stepping.forget_ahead()
        self._pause_s = RETRY_S[0]
        self.folded += max(m.position for m in group) - after
        self.busy_s += self._environment.monotonic_s() - started

    def _seen(self, found: Mapping[str, CheckpointInfo]) -> None:
        """What the leases have seen: does anything have to be found out anew?"""
        assert self._leases is not None  # noqa: S101  they call this
        for member in self.members:
            name = member.plan.name
            held = self._leases.held.get(name)
            if member.state == "failed":
                continue
            if not found:
                # Its store fails or is silent. Whoever waits must look for himself: by now another
                # process may move it.
                self._arrivals.leave(name)
            elif self._was_moved(member, found[name], held):
                self._look.set()
                self._hurry.set()

    def _was_moved(self, member: Member, found: CheckpointInfo, held: int | None) -> bool:
        """Whether somebody else has moved it, or its lease, or its store was set back.

        It cannot stand before where it stood when the leases were looked at last.
        """
        stood, member.seen_at = member.seen_at, member.position
        if held is None:
            return member.epoch is not None or not found.lease.epoch
        switched = found.role != member.role
        return (
            switched
            or held != member.epoch
            or found.position > member.position
            or found.position < stood
        )

    def _leave(self, members: Iterable[Member]) -> None:
        for member in members:
            member.epoch = None
            member.state = "standing by"
            self._arrivals.leave(member.plan.name)

    def _hold(
        self, member: Member, state: State, error: DiptychError | None, why: str = ""
    ) -> None:
        member.state = state
        member.error = error
        distrust = isinstance(error, LogRestored)
        self._arrivals.stop(member.plan.name, why or str(error), distrust=distrust)

    def _trouble(self, why: str) -> None:
        for member in self.members:
            if member.runs:
                member.state = "retrying"
                self._arrivals.note(member.plan.name, why)

    async def _gather(self, head: int) -> None:
        if await self._log.head() > head + LIVE_BATCH:
            return
        self._hurry.clear()
        loop = asyncio.get_running_loop()
        timer = loop.call_later(GATHER_S, self._hurry.set)
        try:
            await self._hurry.wait()
        finally:
            timer.cancel()


def changed(plan: Plan) -> str:
    """What to say of a projection whose rows another version of it has made."""
    return (
        f"the rows of {plan.name} were made by another version of it. Rebuild it: "
        f"diptych projections rebuild {plan.name}"
    )


def code_changed(plan: Plan) -> str:
    """What to say of a projection that goes on with rows that other code has made."""
    return (
        f"the code of {plan.name} is not the code that made its older rows. Where that changes "
        f"them, rebuild it: diptych projections rebuild {plan.name}"
    )


def _of_another_log(member: Member, identity: str) -> LogRestored:
    return LogRestored(
        f"the rows of {member.plan.name} were made of another log than {identity}, which is read "
        "now. Rebuild the projection, or give the application the log that its rows are made of.",
        projection=member.plan.name,
        checkpoint=member.position,
        head=None,
    )


def _restored(member: Member, head: int) -> LogRestored:
    return LogRestored(
        f"{member.plan.name} has seen position {member.position}, but the log ends at {head}: the "
        "log was restored to an older state, or is another one. Rebuild the projection.",
        projection=member.plan.name,
        checkpoint=member.position,
        head=head,
    )
