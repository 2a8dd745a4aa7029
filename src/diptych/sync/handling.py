"""All event handlers of one application: of several processes, one runs each of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence

from diptych.errors import CheckpointMoved, LeaseLost, OutcomeUnknown, StoreError, StoreUnavailable
from diptych.events.delay import delay_s
from diptych.queries.parked import waiting_lanes
from diptych.queries.read_store import Change
from diptych.queries.standings import CheckpointInfo
from diptych.sync.calling import Caller, HandlerSource
from diptych.sync.hinge import Hinge
from diptych.sync.lease import LET_GO_WITHIN_S, Leases
from diptych.sync.status import ProjectionStatus, State
from diptych.sync.terms import read_terms

__all__ = ["Handling"]

FINISH_WITHIN_S = 5.0
"""How long closing waits for the calls under way; a longer one is cancelled, and made again."""

RETRY_S = (0.05, 5.0)
"""First and longest pause before a store that failed is tried again."""

_log = logging.getLogger("diptych")


class Handling:
    """Runs the event handlers `sources`, whose marks are all in one store."""

    def __init__(self, hinge: Hinge, sources: Sequence[HandlerSource]) -> None:
        self.sources = sources
        self._hinge = hinge
        self._callers: dict[str, Caller] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._keeping: asyncio.Task[None] | None = None
        self._leases: Leases | None = None
        self._stopping = False

    async def open(self, *, run: bool) -> None:
        """Open the store, have new handlers begin where they are to, and run them all."""
        if not self.sources:
            return
        store = self.sources[0].store
        await store.open([source.plan.table for source in self.sources])
        for source in self.sources:
            await self._begin(source)
        self._stopping = False
        if run:
            names = [source.plan.name for source in self.sources]
            environment = self._hinge.environment
            self._leases = Leases(store, names, environment, gives=self._gives)
            keeping = self._leases.keep(self._seen)
            self._keeping = asyncio.create_task(keeping, name="leases of event handlers")

    async def stop(self) -> None:
        """Let the calls under way end, then let go of the leases.

        The store stays open: the projections that are kept in it have to let go, too.
        """
        self._stopping = True
        for caller in self._callers.values():
            caller.stopping = True
            if caller.idle:
                self._tasks[caller.name].cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=FINISH_WITHIN_S)
        for task in (*self._tasks.values(), *filter(None, [self._keeping])):
            task.cancel()
        await asyncio.gather(
            *self._tasks.values(), *filter(None, [self._keeping]), return_exceptions=True
        )
        self._tasks.clear()
        self._callers.clear()
        leases, self._leases, self._keeping = self._leases, None, None
        if leases is not None:
            with contextlib.suppress(StoreError, TimeoutError):
                async with asyncio.timeout(LET_GO_WITHIN_S):
                    await leases.release()

    async def close(self) -> None:
        """Close the store."""
        if self.sources:
            await self.sources[0].store.close()

    async def statuses(self) -> list[ProjectionStatus]:
        """Where every handler stands, in the order they were listed."""
        head = await self._hinge.log.head()
        return [await self._status(source, head) for source in self.sources]

    async def _begin(self, source: HandlerSource) -> None:
        """Mark where a handler that never ran begins, before anything else is recorded."""
        name = source.plan.name
        found = await source.store.checkpoint(name)
        if not found.fingerprint:
            head = await self._hinge.log.head() if source.spec.start == "now" else 0
            with contextlib.suppress(CheckpointMoved):  # another process was faster
                await source.store.apply([Change(name, 0, head)])

    def _gives(self, name: str) -> bool:
        """Whether a lease can be given away now: not during a call, which would be made twice."""
        caller = self._callers.get(name)
        if caller is None:
            return True
        if not caller.idle:
            caller.wanted = True
            return False
        caller.given = True
        self._tasks[name].cancel()
        return True

    def _seen(self, _: Mapping[str, CheckpointInfo]) -> None:
        """What the leases have seen: begin what is held now, end what is not any more."""
        assert self._leases is not None  # noqa: S101  they call this
        for source in self.sources:
            name = source.plan.name
            held, caller = self._leases.held.get(name), self._callers.get(name)
            # One that was to be given away may be held still.
            if caller is not None and (caller.epoch != held or caller.given):
                self._tasks.pop(name).cancel()
                del self._callers[name]
            if held is not None and name not in self._callers and not self._stopping:
                made = self._callers[name] = Caller(self._hinge, source, held)
                self._tasks[name] = asyncio.create_task(self._run(made), name=f"handler {name}")

    async def _run(self, caller: Caller) -> None:
        environment, pause_s = self._hinge.environment, RETRY_S[0]
        while not caller.stopping:
            try:
                await caller.run()
            except LeaseLost:
                return  # whoever has it goes on
            except CheckpointMoved:
                await environment.sleep(0)
            except (StoreUnavailable, OutcomeUnknown) as error:
                caller.state, caller.why = "retrying", str(error)
                await environment.sleep(pause_s * (0.5 + environment.random.random()))
                pause_s = min(pause_s * 2, RETRY_S[1])
            except Exception as error:  # noqa: BLE001  whatever it is, it is told
                caller.state, caller.why = "failed", f"its caller ended with {error!r}"
                _log.exception("the event handler %s cannot go on", caller.name)
                return

    async def _status(self, source: HandlerSource, head: int) -> ProjectionStatus:
        name, environment = source.plan.name, self._hinge.environment
        found = await source.store.checkpoint(name)
        terms, caller = read_terms(found.lease), self._callers.get(name)
        lag = max(0, head - found.position)
        state: State = "catching up" if lag else "live"
        if not terms.owner or environment.is_gone(terms.owner.rpartition("/")[0]):
            state = "stopped"
        elif caller is not None and caller.state in ("failed", "retrying"):
            state = caller.state
        parked = await source.store.parked(name) if found.parks else []
        return ProjectionStatus(
            name=name,
            mode="handler",
            state=state,
            position=found.position,
            head=head,
            lag_events=lag,
            delay_s=await delay_s(self._hinge.log, environment, found.position) if lag else 0.0,
            why=caller.why if caller is not None else "",
            owner=terms.owner,
            epoch=found.lease.epoch,
            parked_keys=len(waiting_lanes(parked)),
            eta_s=None if lag else 0.0,
            errors=caller.errors if caller is not None else 0,
        )
