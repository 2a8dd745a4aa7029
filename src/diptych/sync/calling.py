"""Calling one event handler for one event after the other, each past its mark.

The mark is a checkpoint in a read store, moved after each call: a crash between the two repeats one
call, and nothing else does. What failed too often is parked by its stream.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from diptych.events.handler import HandlerSpec
from diptych.messages.envelope import Envelope, StoredEvent
from diptych.queries.fence import lease_lost
from diptych.queries.parked import Lane, Parked, waiting_lanes
from diptych.queries.projection import FoldStep, Plan
from diptych.queries.read_model import snake_case
from diptych.queries.read_store import Change, ReadStore
from diptych.queries.source import Source
from diptych.queries.table_spec import TableSpec
from diptych.sync.apart import parked_because
from diptych.sync.hinge import Hinge
from diptych.sync.lease import ASK_EVERY_S, TEND_EVERY_S
from diptych.sync.status import State
from diptych.sync.subscription import Delivery, Subscription

__all__ = ["Caller", "HandlerSource"]

_BATCH = 1_000

MOST_IN_A_ROW = 10
"""When so many events have failed and none went well, it is not the events: the next one is tried
until it goes well, and no more are parked."""

GIVE_WITHIN_S = ASK_EVERY_S + 2 * TEND_EVERY_S
"""How long a handler that never rests does so for another process that asks for it: by then that
one has asked again, and was answered."""

_log = logging.getLogger("diptych")


class HandlerSource(Source):
    """One event handler with what it is given, and the store that keeps its mark.

    Its plan has a name and the events, but no rows: whatever folds plans has nothing to fold here.
    """

    def __init__(self, spec: HandlerSpec, store: ReadStore, resources: Mapping[type, Any]) -> None:
        name = snake_case(spec.handler.__name__)
        steps = {
            event: FoldStep(
                _never, None, many=False, takes_envelope=False, mode="", wants_none=False
            )
            for event in spec.calls
        }
        super().__init__(
            Plan(name, spec.handler, TableSpec(name, "event handler."), steps, None), store
        )
        self.spec = spec
        self._given = {event: call.bound(resources) for event, call in spec.calls.items()}

    async def call(self, envelope: Envelope) -> None:
        """Handle one event. Raises what the handler raises."""
        kind = type(envelope.event)
        call, given = self.spec.calls[kind], self._given[kind]
        if call.envelope is not None:
            given = {**given, call.envelope: envelope}
        if not call.waits:
            await asyncio.to_thread(_called, call.method, envelope.event, given)
            return
        try:
            await call.method(envelope.event, **given)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody has cancelled us: left alone, it would end the task that calls.
            raise RuntimeError("the handler awaited something that was cancelled") from error


class Caller:
    """Runs one event handler under the lease of `epoch`, until cancelled or told to stop.

    `state` and `why` say what it is doing, `errors` how many calls have raised. While it is `idle`
    nothing is under way: no call, and none that is not marked yet. With `wanted` it is so for a
    moment before the next call: another process has fewer handlers, and asks for one. Once it is
    `given` to that one, it ends.
    """

    def __init__(self, hinge: Hinge, source: HandlerSource, epoch: int) -> None:
        self.state: State = "catching up"
        self.why = ""
        self.errors = 0
        self.epoch = epoch
        self.name = source.plan.name
        self.stopping = False
        self.idle = False
        self.wanted = False
        self.given = False
        self._hinge = hinge
        self._log = hinge.log
        self._environment = hinge.environment
        self._source = source
        self._store = source.store
        self._name = self.name
        self._position = 0
        self._lanes: set[Lane] = set()
        self._skipped: set[tuple[str, int]] = set()
        self._in_a_row = 0
        self._subscription = Subscription(hinge.log, hinge.registry, list(source.spec.calls))

    async def run(self) -> None:
        """Go on from the mark. Raises LeaseLost, CheckpointMoved, StoreUnavailable,
        OutcomeUnknown; what was called is marked, but for at most the last one.
        """
        self._position = (await self._store.checkpoint(self._name)).position
        entries = await self._store.parked(self._name)
        self._lanes = waiting_lanes(entries)
        self._skipped = {(one.stream, one.position) for one in entries if not one.waits}
        while not self.stopping:
            if await self._log.head() <= self._position:
                self.state, self.why = "live", ""
                await self._rest(self._log.wait(self._position))
            else:
                await self._handle(await self._subscription.deliver(self._position, _BATCH))

    async def _handle(self, delivery: Delivery) -> None:
        for envelope in delivery.envelopes:
            if self.stopping:
                return
            await self._one(envelope)
        if delivery.upto > self._position:
            await self._mark(delivery.upto)
        if delivery.broken is not None:
            stored, error = delivery.broken
            skipped = (stored.stream, stored.position) in self._skipped
            await self._mark(stored.position, None if skipped else self._parked(stored, error, 1))

    async def _one(self, envelope: Envelope) -> None:
        stored = envelope.stored
        if self.wanted:
            self.wanted = False
            await self._rest(self._environment.sleep(GIVE_WITHIN_S))
        if (stored.stream, stored.position) in self._skipped:
            return
        if Lane(stored.stream, by_stream=True) in self._lanes:
            await self._mark(stored.position, self._parked(stored, None, 0))
            return
        error = await self._try(envelope)
        if error is None:
            self._in_a_row = 0
            await self._mark(stored.position)
        elif not self.stopping:
            self._in_a_row += 1
            entry = self._parked(stored, error, self._source.spec.attempts)
            await self._mark(stored.position, entry)
            _log.warning(
                "%s parked %s at position %d (%s): %s. See: diptych parked show %s",
                self._name,
                stored.stream,
                stored.position,
                stored.type,
                entry.error,
                self._name,
            )

    async def _try(self, envelope: Envelope) -> Exception | None:
        """Call, again and again if need be; None: it went well."""
        spec, pause_s = self._source.spec, self._source.spec.pause_s
        tried = 0
        while True:
            await self._confirm()
            try:
                await self._source.call(envelope)
            except Exception as error:  # noqa: BLE001  whatever the world outside comes up with
                self.errors += 1
                tried += 1
                self.state, self.why = "retrying", f"{type(error).__name__}: {error}"
                enough = tried >= spec.attempts and self._in_a_row < MOST_IN_A_ROW
                if enough or self.stopping:
                    return error
            else:
                self.state, self.why = "catching up", ""
                return None
            chance = 0.5 + self._environment.random.random()
            await self._rest(self._environment.sleep(pause_s * chance))
            pause_s = min(pause_s * 2, spec.longest_pause_s)

    async def _rest(self, waiting: Coroutine[Any, Any, Any]) -> None:
        self.idle = True
        try:
            await waiting
        finally:
            self.idle = False

    async def _confirm(self) -> None:
        """Ask the store whether the lease is still ours: no fence holds back what is outside."""
        found = await self._store.checkpoint(self._name)
        if found.lease.epoch != self.epoch:
            raise lease_lost(self._name, self.epoch, found.lease.epoch)

    async def _mark(self, position: int, parked: Parked | None = None) -> None:
        entries = [] if parked is None else [parked]
        change = Change(self._name, self._position, position, epoch=self.epoch, parked=entries)
        await self._store.apply([change])
        self._position = position
        self._lanes.update(one.lane for one in entries)

    def _parked(self, stored: StoredEvent, error: Exception | None, attempts: int) -> Parked:
        lane = Lane(stored.stream, by_stream=True)
        return parked_because(error, lane, stored, self._environment.time_us(), attempts)


def _called(method: Callable[..., Any], event: Any, given: Mapping[str, Any]) -> None:
    try:
        method(event, **given)
    except StopIteration as error:  # no future can carry it: who awaits it would wait for ever
        raise RuntimeError("the handler raised StopIteration") from error


def _never(*_: object) -> None:
    raise AssertionError("an event handler is called, and never folded")
