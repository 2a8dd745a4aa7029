"""One step of a runner: a batch read once, folded by every projection of a group, written once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from diptych.errors import (
    CheckpointMoved,
    LeaseLost,
    OutcomeUnknown,
    ProjectionFailed,
    StoreUnavailable,
    UnknownMessageType,
)
from diptych.failpoints import armed, failpoint
from diptych.messages.envelope import Envelope
from diptych.queries.fence import checkpoint_moved
from diptych.queries.fold import Batch, failed, keys_of
from diptych.queries.parked import Lane, Parked
from diptych.queries.read_store import Change, ReadStore, Row
from diptych.sync.apart import Apart, parked_because
from diptych.sync.hinge import Hinge
from diptych.sync.lease import Leases
from diptych.sync.member import Member
from diptych.sync.read_ahead import ReadAhead
from diptych.sync.subscription import Delivery, Subscription

__all__ = ["CATCH_UP_BATCH", "LIVE_BATCH", "REBUILD_BATCH", "TRANSIENT", "Stepping"]

LIVE_BATCH = 1_000
CATCH_UP_BATCH = 5_000
REBUILD_BATCH = 25_000
"""Events read at once. Larger batches fold more events into each row that is written (25,000 or
5,000 events over 20,000 keys: 1.4 times faster) but keep the event loop for longer: 10 ms for
5,000, which commands beside it can bear; a rebuild has nobody beside it."""

DEATHS = 2
"""An event is parked once so many holders have died while it was folded alone; after twice as many,
the whole stream is, because telling its key may be what kills."""

TRANSIENT = (CheckpointMoved, LeaseLost, StoreUnavailable, OutcomeUnknown)
"""What says nothing about the events: the same batch may go through in a moment."""

_log = logging.getLogger("diptych")


class Stepping:
    """Moves projections of one store by one batch at a time.

    With `parks` False a member stops at an event that fails: those that are inline go on with the
    next append, which must not pass what waits.
    """

    def __init__(self, hinge: Hinge, store: ReadStore, *, parks: bool = True) -> None:
        self.leases: Leases | None = None
        self._parks = parks
        self._hinge = hinge
        self._store = store
        self._subscriptions: dict[tuple[str, ...], ReadAhead] = {}

    async def step(
        self, group: Sequence[Member], limit: int, until: int | None, *, more: bool = False
    ) -> None:
        """Move a group, which stands at one position, by at most `limit` events, not past `until`.
        With `more` the next such batch is read meanwhile.

        What cannot be folded or written is parked. A member that must not go on has its `error`
        set. Raises CheckpointMoved, LeaseLost, StoreUnavailable, OutcomeUnknown; then nothing of
        what was not reported by `Arrivals` is written.
        """
        after = group[0].position
        events = self._events(group)
        delivery = await events.deliver(after, limit, until)
        if more:
            events.begin(delivery.upto, limit, until)
        if armed:
            await failpoint("runner.after_read", upto=delivery.upto)
        if delivery.broken is not None and delivery.upto == after:
            await self._pass(group, delivery)
            return
        if limit == 1 and group[0].suspicious and await self._kills(group[0], delivery):
            return
        folded: list[tuple[Member, Change]] = []
        for member in group:
            try:
                change = await self._fold(member, delivery.envelopes, after, delivery.upto)
                folded.append((member, change))
            except ProjectionFailed as error:
                member.error = error
            await asyncio.sleep(0)  # folding is pure Python: let commands through between two
        try:
            await self._write(folded)
        except TRANSIENT:
            raise
        except Exception as error:  # noqa: BLE001  one cannot be written; the others must not wait
            for member, _ in folded:
                await self._search(member, delivery, error)

    async def forget_ahead(self) -> None:
        """Forget what was read ahead, and return when nothing of it is under way any more."""
        reading = [events.drop() for events in self._subscriptions.values()]
        await asyncio.gather(*filter(None, reading), return_exceptions=True)

    async def _fold(
        self, member: Member, envelopes: Sequence[Envelope], after: int, upto: int
    ) -> Change:
        """What a projection makes of a batch. Raises ProjectionFailed when it must stop."""
        if not self._parks:
            return await self._fold_at_once(member, envelopes, after, upto)
        with suppress(ProjectionFailed):
            return await self._fold_at_once(member, envelopes, after, upto)
        return await self._fold_apart(member, envelopes, after, upto)

    async def _fold_at_once(
        self, member: Member, envelopes: Sequence[Envelope], after: int, upto: int
    ) -> Change:
        plan, parking = member.plan, member.parking
        followers = parking.followers(envelopes, self._hinge.environment.time_us())
        batch = Batch(plan, envelopes, after, upto, parking.omitted(after, followers))
        rows: dict[str, Row] = {}
        if plan.shape is not None:
            rows = await self._rows(member, batch.keys, after)
        change = batch.change(rows)
        parking.count(followers, len(batch))
        return change._replace(epoch=member.epoch, parked=followers)

    async def _fold_apart(
        self, member: Member, envelopes: Sequence[Envelope], after: int, upto: int
    ) -> Change:
        plan, parking = member.plan, member.parking
        rows: dict[str, Row] = {}
        if plan.shape is not None:
            rows = await self._rows(member, _keys(member, envelopes), after)
        now = self._hinge.environment.time_us()
        apart = Apart(plan, rows, parking.lanes, now, parking.omitted(after))
        apart.fold(envelopes)
        parking.count(apart.parked, apart.succeeded)
        return Change(
            plan.name,
            after,
            upto,
            apart.rows(),
            apart.deleted(),
            apart.statements,
            member.epoch,
            apart.parked,
        )

    async def _rows(self, member: Member, keys: Sequence[str], after: int) -> dict[str, Row]:
        loaded = await self._store.load(member.plan.name, keys)
        if loaded.checkpoint != after:
            raise checkpoint_moved(member.plan.name, after, loaded.checkpoint)
        return loaded.rows

    async def _write(self, folded: Sequence[tuple[Member, Change]]) -> None:
        if folded and armed:
            await self._write_at_failpoints([change for _, change in folded])
        elif folded:
            await self._store.apply([change for _, change in folded])
        for member, change in folded:
            if change.parked:
                self._say(member, change.parked)
            member.parking.written(change.parked)
            member.position = change.upto
            member.calm += 1
            self._hinge.arrivals.arrive(member.plan.name, change.upto)
            if member.terms.crashes and not member.position < member.terms.suspect:
                await self._trust_again(member)

    async def _write_at_failpoints(self, changes: Sequence[Change]) -> None:
        parks = any(one.parked for one in changes)
        await failpoint("runner.before_apply", changes=changes)
        if parks:
            await failpoint("runner.before_park", changes=changes)
        await self._store.apply(changes)
        if parks:
            await failpoint("runner.after_park", changes=changes)
        await failpoint("runner.after_apply", changes=changes)

    async def _search(self, member: Member, delivery: Delivery, error: Exception) -> None:
        """Find the events that cannot be written, and park them; write all others."""
        if not self._parks:
            member.error = _refused(member, error)
            return
        wanted = [one for one in delivery.envelopes if type(one.event) in member.plan.steps]
        with _stopping(member):
            # A store that refuses even this has something against all of them.
            await self._store.apply([self._stay(member)])
            await self._halve(member, wanted, delivery.upto)

    async def _halve(self, member: Member, envelopes: Sequence[Envelope], upto: int) -> None:
        """Write what can be written of `envelopes`, and go to `upto`."""
        try:
            change = await self._fold(member, envelopes, member.position, upto)
            await self._write([(member, change)])
        except (*TRANSIENT, ProjectionFailed):
            raise
        except Exception as error:
            if not envelopes:
                raise
            if len(envelopes) == 1:
                await self._park(member, envelopes[0], error, upto)
                return
            middle = len(envelopes) // 2
            await self._halve(member, envelopes[:middle], envelopes[middle].position - 1)
            await self._halve(member, envelopes[middle:], upto)

    async def _park(
        self, member: Member, envelope: Envelope, error: Exception, upto: int, attempts: int = 1
    ) -> None:
        """Park an event with every key it touches: which row is at fault nobody knows."""
        why = failed(member.plan, envelope, error)
        why.__cause__ = error
        keys: Sequence[str] = () if attempts > 2 * DEATHS else _keys(member, [envelope])
        keys = member.parking.waits_for(keys, envelope)
        lanes = [Lane(key) for key in keys] or [Lane(envelope.stream, by_stream=True)]
        now = self._hinge.environment.time_us()
        entries = [parked_because(why, lane, envelope.stored, now, attempts) for lane in lanes]
        member.parking.count(entries, 0)
        try:
            await self._write([(member, self._stay(member)._replace(upto=upto, parked=entries))])
        except TRANSIENT:
            raise
        except Exception:
            if lanes[0].by_stream:
                raise
            # A key that the store cannot even write down: then the stream it came from waits.
            lane = Lane(envelope.stream, by_stream=True)
            entries = [parked_because(why, lane, envelope.stored, now, attempts)]
            await self._write([(member, self._stay(member)._replace(upto=upto, parked=entries))])

    async def _pass(self, group: Sequence[Member], delivery: Delivery) -> None:
        """Go past an event that cannot be decoded; who wants it, or may, parks its stream."""
        assert delivery.broken is not None  # noqa: S101  asked before
        stored, error = delivery.broken
        folded: list[tuple[Member, Change]] = []
        for member in group:
            entries: list[Parked] = []
            wanted = self._wants(member, stored.type, error)
            if wanted and not member.parking.skips_all(stored):
                if not self._parks:
                    member.error = delivery.failure(member.plan.name)
                    continue
                lane = Lane(stored.stream, by_stream=True)
                now = self._hinge.environment.time_us()
                entries.append(parked_because(error, lane, stored, now))
            try:
                member.parking.count(entries, 0)
            except ProjectionFailed as stop:
                member.error = stop
                continue
            change = self._stay(member)._replace(upto=stored.position, parked=entries)
            folded.append((member, change))
        try:
            await self._write(folded)
        except TRANSIENT:
            raise
        except Exception:  # noqa: BLE001  one of them cannot be written; the others must not wait
            for one in folded:
                with _stopping(one[0]):
                    await self._write([one])

    def _wants(self, member: Member, type_name: str, error: Exception) -> bool:
        known = {self._hinge.registry.of(cls).identity.name for cls in member.plan.steps}
        return type_name in known or isinstance(error, UnknownMessageType)

    async def _kills(self, member: Member, delivery: Delivery) -> bool:
        """Whether the one event delivered was parked, because its holders die over it.

        If not, it is noted as being tried, so that the next holder knows, should this one die.
        """
        wanted = [one for one in delivery.envelopes if type(one.event) in member.plan.steps]
        if not wanted or self.leases is None:
            return False
        position = wanted[0].position
        deaths = member.terms.tried if member.terms.trying == position else 0
        if deaths < DEATHS:
            await self.leases.note(member.plan.name, trying=position, tried=deaths)
            return False
        error = ProjectionFailed(
            f"the process died, or hung, each of the {deaths} times it was folded alone",
            projection=member.plan.name,
            position=position,
        )
        with _stopping(member):
            await self._park(member, wanted[0], error, delivery.upto, deaths)
            await self._trust_again(member)  # it was this one: no need to go on step by step
        return True

    async def _trust_again(self, member: Member) -> None:
        if self.leases is not None:
            nothing = {"crashes": 0, "suspect": 0, "trying": 0, "tried": 0}
            await self.leases.note(member.plan.name, **nothing)
            member.terms = self.leases.terms[member.plan.name]

    def _stay(self, member: Member) -> Change:
        return Change(member.plan.name, member.position, member.position, epoch=member.epoch)

    def _say(self, member: Member, entries: Sequence[Parked]) -> None:
        for one in entries:
            if one.because == "failed":
                _log.warning(
                    "%s parked %s at position %d (%s of %s): %s. See: diptych parked show %s",
                    member.plan.name,
                    one.key,
                    one.position,
                    one.type,
                    one.stream,
                    one.error,
                    member.plan.name,
                )

    def _events(self, group: Sequence[Member]) -> ReadAhead:
        names = tuple(member.plan.name for member in group)
        found = self._subscriptions.get(names)
        if found is None:
            types = {cls for member in group for cls in member.plan.steps}
            found = ReadAhead(Subscription(self._hinge.log, self._hinge.registry, types))
            self._subscriptions[names] = found
        return found


@contextmanager
def _stopping(member: Member) -> Iterator[None]:
    """Around a write: what the store refuses for good stops this projection, and says why."""
    try:
        yield
    except TRANSIENT:
        raise
    except ProjectionFailed as error:
        member.error = error
    except Exception as error:  # noqa: BLE001  whatever it is, only this one must stand still
        member.error = _refused(member, error)


def _keys(member: Member, envelopes: Sequence[Envelope]) -> list[str]:
    """The keys of the rows that events touch, as far as they can be told."""
    found: dict[str, None] = {}
    if member.plan.shape is None:
        return []
    for envelope in envelopes:
        step = member.plan.steps.get(type(envelope.event))
        if step is not None:
            try:
                found.update(dict.fromkeys(keys_of(member.plan, step, envelope)))
            except ProjectionFailed:
                continue
    return list(found)


def _refused(member: Member, error: Exception) -> ProjectionFailed:
    said = ProjectionFailed(
        f"{member.plan.name} stands at position {member.position}: its store refuses to write, "
        f"whatever the event ({error}). Mend it and start again.",
        projection=member.plan.name,
        position=member.position,
        event_type="",
        stream="",
    )
    said.__cause__ = error
    return said
