"""Retrying what is parked: in order within a lane, from the rows as they stand, written at once.

Whoever calls this holds the lease of the projection, so that no runner moves it meanwhile. One
change takes out what went well and writes the rows: a crash before it changes nothing, and a crash
after it repeats nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from diptych.events.log import EventLog
from diptych.messages.registry import Registry
from diptych.queries.parked import Lane, Parked
from diptych.queries.projection import Plan
from diptych.queries.read_store import Change, ReadStore, Row
from diptych.sync.apart import parked_because
from diptych.sync.step import TRANSIENT
from diptych.sync.waiting_fold import ReadEntry, WaitingFold, read_waiting

__all__ = ["Retried", "Retry", "waiting_of"]

_AT_ONCE = 500
"""Entries that are folded before something is written; one lane may have more."""


class Retried(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one lane: `key`, or with `by_stream` the stream of that name.

    `folded` events have their effect now; `gone` ones concern the projection no longer; `moved`
    ones can be read now, and wait for a key that is parked itself; `left` wait as before. Where one
    failed again, `failed_at` is its position and `error` says why.
    """

    projection: str
    key: str
    by_stream: bool = False
    folded: int = 0
    gone: int = 0
    moved: int = 0
    left: int = 0
    failed_at: int | None = None
    error: str = ""


class Retry:
    """Retries lanes of one projection. `done` has what became of each lane, as it is written.

    With `writes` False nothing is written: `done` says what would happen.
    """

    def __init__(
        self,
        log: EventLog,
        registry: Registry,
        store: ReadStore,
        plan: Plan,
        *,
        epoch: int | None = None,
        writes: bool = True,
    ) -> None:
        self.done: dict[Lane, Retried] = {}
        self._log = log
        self._registry = registry
        self._store = store
        self._plan = plan
        self._epoch = epoch
        self._writes = writes

    async def run(self, lanes: Collection[Lane]) -> None:
        """Retry what waits in these lanes, each up to the first event that fails again.

        Raises CheckpointMoved, LeaseLost, StoreUnavailable, OutcomeUnknown, and what the store
        raises when it cannot even note a failure; what is `done` is written all the same.
        """
        entries = waiting_of(await self._store.parked(self._plan.name))
        for lane in [one for one in entries if one in lanes and one.by_stream]:
            await self._retry([lane])  # each may add to the lanes of keys
        batch: list[Lane] = []
        size = 0
        for lane in [one for one in entries if one in lanes and not one.by_stream]:
            batch.append(lane)
            size += len(entries[lane])
            if size >= _AT_ONCE:
                await self._retry(batch)
                batch, size = [], 0
        if batch:
            await self._retry(batch)

    async def _retry(self, lanes: Sequence[Lane]) -> None:
        try:
            self._note(await self._once(lanes))
        except TRANSIENT:
            raise
        except Exception:  # noqa: BLE001  a row or a statement that the store cannot keep
            if len(lanes) == 1:
                await self._one_by_one(lanes[0])
                return
            middle = len(lanes) // 2
            await self._retry(lanes[:middle])
            await self._retry(lanes[middle:])

    async def _one_by_one(self, lane: Lane) -> None:
        """Retry a lane event by event, up to the first one that cannot be written."""
        total = Retried(self._plan.name, lane.name, lane.by_stream)
        while True:
            try:
                found = await self._once([lane], 1)
            except TRANSIENT:
                raise
            except Exception as error:  # noqa: BLE001  it is this event
                found = [await self._failed_again(lane, error)]
            if not found:
                self._note([total])
                return
            total = _added(total, found[0])
            if total.failed_at is not None or not total.left:
                self._note([total])
                return

    async def _failed_again(self, lane: Lane, error: Exception) -> Retried:
        """Note that the first event of a lane cannot be written. Raises what the store raises."""
        entries = waiting_of(await self._store.parked(self._plan.name))[lane]
        first = entries[0]
        (waiting,) = await read_waiting(self._log, self._registry, self._plan, [first])
        assert waiting.stored is not None  # noqa: S101  it could be folded
        again = parked_because(error, lane, waiting.stored, first.at_us, first.attempts + 1)
        position = (await self._store.checkpoint(self._plan.name)).position
        await self._apply(Change(self._plan.name, position, position, parked=[again]))
        return Retried(
            self._plan.name,
            lane.name,
            lane.by_stream,
            left=len(entries),
            failed_at=first.position,
            error=again.error,
        )

    async def _once(self, lanes: Sequence[Lane], most: int | None = None) -> list[Retried]:
        """Fold lanes (of each at most so many events), and write all of it, or nothing."""
        entries = await self._store.parked(self._plan.name)
        waiting = waiting_of(entries)
        chosen = [lane for lane in lanes if lane in waiting]
        ready: dict[Lane, Sequence[ReadEntry]] = {}
        for lane in chosen:
            first = waiting[lane][:most]
            ready[lane] = await read_waiting(self._log, self._registry, self._plan, first)
        position, rows = await self._rows(ready)
        fold = WaitingFold(self._plan, rows, entries)
        said = []
        for lane in chosen:
            found = fold.retry(ready[lane])
            left = len(waiting[lane]) - found.folded - found.gone - found.moved
            said.append(msgspec.structs.replace(_added(self._blank(lane), found), left=left))
        change = fold.change(position)
        if change.unparked or change.parked:
            await self._apply(change)
        return said

    async def _rows(self, ready: dict[Lane, Sequence[ReadEntry]]) -> tuple[int, dict[str, Row]]:
        name = self._plan.name
        if self._plan.shape is None:
            return (await self._store.checkpoint(name)).position, {}
        keys = {key: None for waiting in ready.values() for one in waiting for key in one.keys}
        loaded = await self._store.load(name, list(keys))
        return loaded.checkpoint, loaded.rows

    async def _apply(self, change: Change) -> None:
        if self._writes:
            await self._store.apply([change._replace(epoch=self._epoch)])

    def _blank(self, lane: Lane) -> Retried:
        return Retried(self._plan.name, lane.name, lane.by_stream)

    def _note(self, found: Sequence[Retried]) -> None:
        for one in found:
            lane = Lane(one.key, one.by_stream)
            before = self.done.get(lane)
            self.done[lane] = one if before is None else _added(before, one)


def waiting_of(entries: Sequence[Parked]) -> dict[Lane, list[Parked]]:
    """What waits, by lane: in the order of their first events, and in order within each."""
    found: dict[Lane, list[Parked]] = {}
    for one in entries:
        if one.waits:
            found.setdefault(one.lane, []).append(one)
    return found


def _added(total: Retried, more: Any) -> Retried:
    """The sum of two tries of one lane; where it stands now, the later one says."""
    return msgspec.structs.replace(
        total,
        folded=total.folded + more.folded,
        gone=total.gone + more.gone,
        moved=total.moved + more.moved,
        left=getattr(more, "left", 0),
        failed_at=more.failed_at,
        error=more.error,
    )
