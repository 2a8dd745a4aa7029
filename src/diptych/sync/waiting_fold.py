"""What waits in a lane, read from the log again and folded into the rows as they stand."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from diptych.errors import ProjectionFailed
from diptych.events.log import EventLog
from diptych.messages.envelope import Envelope, StoredEvent
from diptych.messages.registry import Registry
from diptych.queries.fold import fold_one, keys_of, statements_of
from diptych.queries.omitted import Omitted
from diptych.queries.parked import Lane, Parked, waiting_lanes
from diptych.queries.projection import Plan
from diptych.queries.read_store import Change, Row, Statement
from diptych.sync.apart import parked_because

__all__ = ["Folded", "ReadEntry", "WaitingFold", "read_stored", "read_waiting"]

_GAP = 20
"""Events between two that are wanted which are read along, rather than asked for twice."""

_PAGE = 1_000


class ReadEntry(NamedTuple):
    """One entry with its event. `envelope` is None where the event concerns the projection no
    longer; then, and where it cannot be folded (`error`), `keys` is empty.
    """

    entry: Parked
    stored: StoredEvent | None = None
    envelope: Envelope | None = None
    keys: Sequence[str] = ()
    error: Exception | None = None


class Folded(NamedTuple):
    """How one lane went; see sync.retry.Retried."""

    folded: int = 0
    gone: int = 0
    moved: int = 0
    failed_at: int | None = None
    error: str = ""


class WaitingFold:
    """Rows of one projection while what waited is folded into them.

    `entries` are all that is parked or skipped of the projection. A row that the events of a stream
    come too late for keeps the position of its latest event.
    """

    def __init__(self, plan: Plan, rows: Mapping[str, Row], entries: Sequence[Parked]) -> None:
        self._plan = plan
        self._values: dict[str, Any] = {key: row.value for key, row in rows.items()}
        self._positions = {key: row.position for key, row in rows.items()}
        self._touched: dict[str, None] = {}
        self._lanes = waiting_lanes(entries)
        self._skipped = Omitted(one for one in entries if not one.waits)
        self._statements: list[Statement] = []
        self._parked: list[Parked] = []
        self._unparked: list[Parked] = []

    def retry(self, waiting: Sequence[ReadEntry]) -> Folded:
        """Fold what waits in one lane, in order, up to the first event that fails again."""
        folded = gone = moved = 0
        for one in waiting:
            try:
                effects, followed = self._fold(one)
            except ProjectionFailed as error:
                again = _again(one, error)
                self._parked.append(again)
                return Folded(folded, gone, moved, one.entry.position, again.error)
            self._unparked.append(one.entry)
            folded += effects
            moved += followed and not effects
            gone += not effects and not followed
        return Folded(folded, gone, moved)

    def change(self, position: int) -> Change:
        """What to write, at the checkpoint that the rows were loaded with."""
        values, positions = self._values, self._positions
        return Change(
            self._plan.name,
            position,
            position,
            [
                Row(key, positions[key], values[key])
                for key in self._touched
                if values[key] is not None
            ],
            [key for key in self._touched if values[key] is None],
            self._statements,
            parked=self._parked,
            unparked=self._unparked,
        )

    def _fold(self, one: ReadEntry) -> tuple[bool, bool]:
        """Whether the event has an effect now, and whether it waits for another key instead."""
        if one.error is not None:
            raise _as_failed(one, one.error)
        if one.envelope is None or self._skipped.leaves_out_all(one.envelope):
            return False, False
        if self._plan.shape is None:
            step = self._plan.steps[type(one.envelope.event)]
            self._statements += statements_of(self._plan, step, one.envelope)
            return True, False
        if not one.entry.by_stream:
            self._fold_into(one.entry.key, one.envelope)
            return True, False
        return self._fold_all(one, one.envelope)

    def _fold_all(self, one: ReadEntry, envelope: Envelope) -> tuple[bool, bool]:
        """Fold an event of a stream into each of its keys, which may be parked themselves."""
        effects = followed = False
        for key in one.keys:
            if self._skipped.leaves_out(key, envelope):
                continue
            lane = Lane(key)
            try:
                if lane not in self._lanes:
                    self._fold_into(key, envelope)
                    effects = True
                    continue
                failure = None
            except ProjectionFailed as error:
                failure = error
            followed = True
            self._lanes.add(lane)
            at_us = one.entry.at_us
            self._parked.append(parked_because(failure, lane, envelope.stored, at_us))
        return effects, followed

    def _fold_into(self, key: str, envelope: Envelope) -> None:
        step = self._plan.steps[type(envelope.event)]
        # A copy: a method that raises may have changed its row already.
        before = copy.deepcopy(self._values.get(key))
        self._values[key] = fold_one(self._plan, step, key, before, envelope)
        self._positions[key] = max(self._positions.get(key, 0), envelope.position)
        self._touched[key] = None


async def read_waiting(
    log: EventLog, registry: Registry, plan: Plan, entries: Sequence[Parked]
) -> list[ReadEntry]:
    """Entries with their events, decoded as far as this code can. Raises StoreUnavailable."""
    stored = await read_stored(log, [one.position for one in entries])
    return [_decoded(registry, plan, one, stored.get(one.position)) for one in entries]


def _decoded(
    registry: Registry, plan: Plan, entry: Parked, stored: StoredEvent | None
) -> ReadEntry:
    if stored is None or (stored.stream, stored.type) != (entry.stream, entry.type):
        missing = ValueError(f"the log has no {entry.type} of {entry.stream} there any more")
        return ReadEntry(entry, error=missing)
    try:
        known = registry.named(stored.type)
        if known.cls not in plan.steps:
            return ReadEntry(entry, stored)
        envelope = Envelope(registry.decode(stored.type, stored.schema, stored.data), stored)
        step = plan.steps.get(type(envelope.event))
        if step is None or plan.shape is None:
            return ReadEntry(entry, stored, envelope)
        keys = keys_of(plan, step, envelope)
    except Exception as error:  # noqa: BLE001  whatever it is, the event cannot be read
        return ReadEntry(entry, stored, error=error)
    if not entry.by_stream and entry.key not in keys:
        # Whether its other keys have its effect already, nobody can tell.
        other = ValueError(
            f"the event touches {', '.join(map(repr, keys)) or 'no row'} now, and no longer "
            f"{entry.key!r}: rebuild {plan.name}"
        )
        return ReadEntry(entry, stored, error=other)
    return ReadEntry(entry, stored, envelope, keys)


async def read_stored(log: EventLog, positions: Sequence[int]) -> dict[int, StoredEvent]:
    """The events at these positions (ascending), read in stretches."""
    found: dict[int, StoredEvent] = {}
    at = 0
    while at < len(positions):
        first = last = positions[at]
        while at < len(positions) and positions[at] - last <= _GAP:
            if positions[at] - first >= _PAGE:
                break
            last = positions[at]
            at += 1
        found.update((one.position, one) for one in await log.read(first - 1, last - first + 1))
    return found


def _again(one: ReadEntry, error: ProjectionFailed) -> Parked:
    stored = one.entry if one.stored is None else one.stored
    attempts = one.entry.attempts + 1
    return parked_because(error, one.entry.lane, stored, one.entry.at_us, attempts)


def _as_failed(one: ReadEntry, error: Exception) -> ProjectionFailed:
    if isinstance(error, ProjectionFailed):
        return error
    made = ProjectionFailed(str(error), position=one.entry.position)
    made.__cause__ = error
    return made
