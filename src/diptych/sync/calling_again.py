"""Retrying what an event handler has parked: in order within a stream, one event at a time."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from diptych.messages.envelope import Envelope
from diptych.queries.parked import Lane, Parked
from diptych.queries.read_store import Change
from diptych.sync.apart import parked_because
from diptych.sync.calling import HandlerSource
from diptych.sync.hinge import Hinge
from diptych.sync.retry import Retried, waiting_of
from diptych.sync.step import TRANSIENT

__all__ = ["CallAgain"]


class CallAgain:
    """Retries streams of one event handler; see Retry, which does the same for rows.

    Each event is called once and then taken out, so that a crash repeats at most one. With `writes`
    False nothing is called: `done` says what waits.
    """

    def __init__(
        self, hinge: Hinge, source: HandlerSource, epoch: int | None, *, writes: bool
    ) -> None:
        self.done: dict[Lane, Retried] = {}
        self._hinge = hinge
        self._source = source
        self._name = source.plan.name
        self._epoch = epoch
        self._writes = writes

    async def run(self, lanes: Collection[Lane]) -> None:
        """Retry what waits in these streams, each up to the first event that fails again.

        Raises CheckpointMoved, LeaseLost, StoreUnavailable, OutcomeUnknown.
        """
        waiting = waiting_of(await self._source.store.parked(self._name))
        for lane in [one for one in waiting if one in lanes]:
            found = Retried(self._name, lane.name, lane.by_stream, left=len(waiting[lane]))
            for entry in waiting[lane] if self._writes else ():
                error = await self._again(entry)
                if error is not None:
                    found = msgspec.structs.replace(
                        found, failed_at=entry.position, error=f"{type(error).__name__}: {error}"
                    )
                    break
                found = msgspec.structs.replace(found, folded=found.folded + 1, left=found.left - 1)
            self.done[lane] = found

    async def _again(self, entry: Parked) -> Exception | None:
        hinge = self._hinge
        [stored] = await hinge.log.read(entry.position - 1, 1)
        failure: Exception | None = None
        try:
            event = hinge.registry.decode(stored.type, stored.schema, stored.data)
            if type(event) in self._source.spec.calls:
                await self._source.call(Envelope(event, stored))
        except TRANSIENT:
            raise
        except Exception as error:  # noqa: BLE001  whatever the world comes up with
            failure = error
        at = (await self._source.store.checkpoint(self._name)).position
        change = Change(self._name, at, at, epoch=self._epoch)
        if failure is None:
            change = change._replace(unparked=[entry])
        else:
            again = parked_because(failure, entry.lane, stored, entry.at_us, entry.attempts + 1)
            change = change._replace(parked=[again])
        await self._source.store.apply([change])
        return failure
