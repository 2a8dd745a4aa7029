"""The projection runner: keeps the asynchronous projections of one read store in step with the log.

Projections that stand at the same checkpoint move together: the log is read and decoded once, and
their rows and checkpoints are written in one transaction. One that is behind catches up alone until
it meets the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from diptych.errors import (
    CheckpointMoved,
    DiptychError,
    LogRestored,
    OutcomeUnknown,
    ProjectionFailed,
    StoreUnavailable,
    UnknownMessageType,
)
from diptych.messages.envelope import Envelope
from diptych.queries.fold import Batch, failed
from diptych.queries.projection import Plan
from diptych.queries.read_store import Change, ReadStore, Row
from diptych.sync.hinge import Hinge
from diptych.sync.status import State
from diptych.sync.subscription import Delivery, Subscription

__all__ = ["Runner", "changed"]

LIVE_BATCH = 1_000
CATCH_UP_BATCH = 5_000
REBUILD_BATCH = 25_000
"""Events read at once. Larger batches fold more events into each row that is written (25,000 or
5,000 events over 20,000 keys: 1.4 times faster) but keep the event loop for longer: 10 ms for
5,000, which commands beside it can bear; a rebuild has nobody beside it."""

GATHER_S = 0.005
"""How long a runner that keeps up lets events gather while nobody waits for it: folding 64 events
in one batch costs a fifth of folding them in eight."""

LOOK_AGAIN_S = 1.0
"""How often an idle runner looks whether somebody else has moved or reset its projections."""

RETRY_S = (0.05, 5.0)
"""First and longest pause before a store that failed is tried again."""


_TRANSIENT = (CheckpointMoved, StoreUnavailable, OutcomeUnknown)
"""What says nothing about the events: the same batch may go through in a moment."""


class Member:
    """One projection as the runner holds it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.position = 0
        self.state: State = "live"
        self.error: DiptychError | None = None

    @property
    def runs(self) -> bool:
        """Whether it moves by itself."""
        return self.state not in ("failed", "changed")


class Runner:
    """Runs the projections `plans`, all kept in `store`."""

    def __init__(self, hinge: Hinge, store: ReadStore, plans: Sequence[Plan]) -> None:
        self.members = [Member(plan) for plan in plans]
        self.store = store
        self.folded = 0
        self.busy_s = 0.0
        self._log = hinge.log
        self._registry = hinge.registry
        self._arrivals = hinge.arrivals
        self._environment = hinge.environment
        self._pause_s = RETRY_S[0]
        self._hurry = asyncio.Event()
        self._subscriptions: dict[tuple[str, ...], Subscription] = {}
        self._arrivals.call_when_waiting(self._hurry)

    async def run(self) -> None:
        """Catch up, then stay live, until cancelled. Cancelling between batches loses nothing: what
        was written carries its checkpoint.
        """
        while True:
            try:
                await self.find_checkpoints()
                await self._follow()
            except CheckpointMoved:
                await asyncio.sleep(0)  # another process runs them too; go on from where it is
            except (StoreUnavailable, OutcomeUnknown) as error:
                self._trouble(f"retrying: {error}")
                chance = 0.5 + self._environment.random.random()
                await self._environment.sleep(self._pause_s * chance)
                self._pause_s = min(self._pause_s * 2, RETRY_S[1])
            except Exception as error:
                for member in self.members:
                    self._hold(member, "failed", None, f"its runner ended with {error!r}")
                raise

    async def catch_up(self) -> None:
        """Come to the head of this moment, then return."""
        await self.find_checkpoints()
        head = await self._log.head()
        while any(m.runs and m.position < head for m in self.members):
            try:
                await self.step(head, REBUILD_BATCH)
            except CheckpointMoved:
                await self.find_checkpoints()

    async def find_checkpoints(self) -> None:
        """Learn from the store where every projection stands."""
        for member in self.members:
            if member.state == "failed":
                continue
            member.error = None  # of a step that another runner was faster with
            member.state = "live"
            found = await self.store.checkpoint(member.plan.name)
            member.position = found.position
            if found.fingerprint not in ("", member.plan.table.fingerprint):
                self._hold(member, "changed", None, changed(member.plan))
            # The head is read after the checkpoint: another process may append and fold meanwhile.
            elif found.position > (head := await self._log.head()):
                self._hold(member, "failed", _restored(member, head))
            else:
                self._arrivals.arrive(member.plan.name, found.position)

    async def _follow(self) -> None:
        while True:
            head = await self._log.head()
            behind = [m for m in self.members if m.runs and m.position < head]
            if behind:
                await self.step(head)
                if not self._arrivals.anybody_waiting():
                    await self._gather(head)
                continue
            standing = [m.position for m in self.members if m.runs]
            if not standing:
                # Nothing to run until somebody acts: another process may rebuild what has changed.
                await asyncio.sleep(LOOK_AGAIN_S)
                await self.find_checkpoints()
                continue
            try:
                async with asyncio.timeout(LOOK_AGAIN_S):
                    await self._log.wait(min(standing))
            except TimeoutError:
                await self.find_checkpoints()

    async def step(self, head: int, largest: int = CATCH_UP_BATCH) -> None:
        """Move the projections that are furthest behind by one batch of at most `largest` events.

        Raises CheckpointMoved and StoreUnavailable; then nothing of the batch was written.
        """
        started = self._environment.monotonic_s()
        moving = [m for m in self.members if m.runs]
        after = min(m.position for m in moving)
        group = [m for m in moving if m.position == after]
        others = [m.position for m in moving if m.position > after]
        limit = largest if head - after > LIVE_BATCH else LIVE_BATCH
        delivery = await self._subscription(group).deliver(after, limit, min(others, default=None))
        changes: list[Change] = []
        for member in group:
            try:
                changes += await self._fold(member, delivery)
            except _TRANSIENT:
                raise
            except Exception:  # noqa: BLE001  whatever it is, only this projection must stand still
                await self._creep(member, delivery)
            await asyncio.sleep(0)  # folding is pure Python: let commands through between two
        await self._apply(changes, {m.plan.name: m for m in group}, delivery)
        for member in group:
            if member.error is None and self._wants(member, delivery):
                member.error = delivery.failure(member.plan.name)
            if member.error is not None:
                self._hold(member, "failed", member.error)
        self._pause_s = RETRY_S[0]
        self.folded += delivery.upto - after
        self.busy_s += self._environment.monotonic_s() - started

    async def _fold(self, member: Member, delivery: Delivery) -> list[Change]:
        """The change of one projection, up to the event it fails on, if it does; none: []."""
        after, upto, envelopes = delivery.after, delivery.upto, delivery.envelopes
        while upto > after:
            try:
                return [await self._change(member.plan, envelopes, after, upto)]
            except ProjectionFailed as error:
                # Everything before the event it failed on is still good.
                member.error = error
                upto = error.position - 1
                envelopes = [one for one in envelopes if one.position <= upto]
        return []

    async def _change(
        self, plan: Plan, envelopes: Sequence[Envelope], after: int, upto: int
    ) -> Change:
        batch = Batch(plan, envelopes, after, upto)
        rows: dict[str, Row] = {}
        if plan.shape is not None:
            loaded = await self.store.load(plan.name, batch.keys)
            rows, checkpoint = loaded.rows, loaded.checkpoint
            if checkpoint != after:
                raise CheckpointMoved(
                    f"{plan.name} stands at {checkpoint}, not at {after}.",
                    projection=plan.name,
                    expected=after,
                    actual=checkpoint,
                )
        return batch.change(rows)

    async def _apply(
        self, changes: Sequence[Change], members: dict[str, Member], delivery: Delivery
    ) -> None:
        if not changes:
            return
        try:
            await self.store.apply(changes)
        except _TRANSIENT:
            raise
        except Exception:  # noqa: BLE001  one of them cannot be written; the others must not wait
            for change in changes:
                await self._creep(members[change.projection], delivery)
            return
        for change in changes:
            self._move(members[change.projection], change.upto)

    async def _creep(self, member: Member, delivery: Delivery) -> None:
        """Go on event by event, to the one that cannot be applied, and stand before it."""
        wanted = [one for one in delivery.envelopes if type(one.event) in member.plan.steps]
        for envelope in wanted:
            try:
                change = await self._change(
                    member.plan, [envelope], member.position, envelope.position
                )
                await self.store.apply([change])
            except _TRANSIENT:
                raise
            except Exception as error:  # noqa: BLE001  this is the one
                member.error = failed(member.plan, envelope, error)
                return
            self._move(member, envelope.position)
        await self.store.apply([Change(member.plan.name, member.position, delivery.upto)])
        self._move(member, delivery.upto)

    def _move(self, member: Member, position: int) -> None:
        member.position = position
        self._arrivals.arrive(member.plan.name, position)

    def _wants(self, member: Member, delivery: Delivery) -> bool:
        """Whether the event that could not be decoded matters to a projection, or may matter."""
        if delivery.broken is None or member.position != delivery.upto:
            return False
        name = delivery.broken[0].type
        known = {self._registry.of(cls).identity.name for cls in member.plan.steps}
        return name in known or isinstance(delivery.broken[1], UnknownMessageType)

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

    def _subscription(self, group: Sequence[Member]) -> Subscription:
        names = tuple(member.plan.name for member in group)
        found = self._subscriptions.get(names)
        if found is None:
            types = {cls for member in group for cls in member.plan.steps}
            found = self._subscriptions[names] = Subscription(self._log, self._registry, types)
        return found

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


def _restored(member: Member, head: int) -> LogRestored:
    return LogRestored(
        f"{member.plan.name} has seen position {member.position}, but the log ends at {head}: the "
        "log was restored to an older state, or is another one. Rebuild the projection.",
        projection=member.plan.name,
        checkpoint=member.position,
        head=head,
    )
