"""R5, R7, R9: rows are the fold of the log, in order, each event once; what is parked waits.

This is a second projection runner, as simple as can be: it follows the changes that were written,
one after the other, and folds what each of them must have added, from rows of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from diptych.errors import ProjectionFailed
from diptych.messages.envelope import Envelope, StoredEvent
from diptych.messages.registry import Registry
from diptych.queries.fold import fold_one, keys_of
from diptych.queries.parked import Lane, Parked
from diptych.queries.projection import Plan
from diptych.testing.simulation.history import Dropped, History, Reset, Written

__all__ = ["rows_are_the_fold"]

_encode = msgspec.json.Encoder().encode
_Place = tuple[Lane, int]


def rows_are_the_fold(
    history: History, registry: Registry, plans: Mapping[str, Plan]
) -> Iterator[str]:
    """Each change writes exactly what the events that take effect with it make of the rows.

    `plans` are those of the projections by their names. An event takes effect with the change that
    passes it, or with the one that unparks it; never before an earlier one of its key that waits.
    Needs the effects on the stores (see history).
    """
    events = [_decoded(registry, one) for one in history.log]
    generations: dict[str, _Rows] = {}
    for one in history.records:
        if isinstance(one, Dropped):
            generations.pop(one.projection, None)
        elif isinstance(one, Reset):
            if one.projection in generations:
                generations[one.projection].reset()
        elif isinstance(one, Written):
            plan = plans.get(one.projection.partition("__")[0])
            if plan is not None and plan.shape is not None:
                rows = generations.setdefault(one.projection, _Rows(plan, events))
                yield from rows.follow(one)


class _Rows:
    """The rows of one generation as they must be."""

    def __init__(self, plan: Plan, events: list[Envelope]) -> None:
        self._plan = plan
        self._events = events
        self._rows: dict[str, bytes] = {}
        self._waiting: dict[_Place, Parked] = {}
        self._done: set[tuple[str, int]] = set()
        self._lagging: dict[tuple[str, str], int] = {}

    def reset(self) -> None:
        """Its rows were forgotten, and what was parked but not skipped."""
        self._rows.clear()
        self._done.clear()
        self._lagging.clear()
        self._waiting = {at: one for at, one in self._waiting.items() if one.because == "skipped"}

    def follow(self, one: Written) -> Iterator[str]:
        """What is wrong with a change, after which this is where it has come to."""
        effects = {
            (position, key)
            for position in range(one.after + 1, one.upto + 1)
            for key in self._keys(position)
        }
        for entry in one.unparked:
            keys = self._keys(entry.position) if entry.by_stream else [entry.key]
            effects |= {(entry.position, key) for key in keys}
        for entry in one.unparked:
            self._waiting.pop((entry.lane, entry.position), None)
        for entry in one.parked:
            self._waiting[entry.lane, entry.position] = entry
        fresh: set[str] = set()
        for position, key in sorted(effects):
            yield from self._take_effect(key, position, one, fresh)
        for key in sorted({*fresh, *one.rows}):
            must = self._rows.get(key)
            if key not in one.rows:
                yield f"{_told(one)}: the row of {key!r} was left as it was, and must be {must!r}"
                continue
            written = one.rows[key]
            if (None if must is None else must.decode()) != written:
                yield f"{_told(one)}: the row of {key!r} is {written}, and must be {must!r}"
                if written is not None:
                    self._rows[key] = written.encode()

    def _take_effect(self, key: str, position: int, one: Written, fresh: set[str]) -> Iterator[str]:
        envelope = self._events[position - 1]
        stream = Lane(envelope.stream, by_stream=True)
        if (Lane(key), position) in self._waiting or (stream, position) in self._waiting:
            return
        if (key, position) in self._done:
            yield f"{_told(one)}: position {position} has its effect on {key!r} again"
            return
        for (lane, at), entry in self._waiting.items():
            if at < position and lane in (Lane(key), stream) and entry.because != "skipped":
                yield (
                    f"{_told(one)}: position {position} has its effect on {key!r}, while position "
                    f"{at} waits for {lane.name!r}"
                )
                break
        if self._lagging.get((key, envelope.stream), 0) > position:
            yield (
                f"{_told(one)}: position {position} of {envelope.stream} has its effect on {key!r} "
                f"after position {self._lagging[key, envelope.stream]}"
            )
        self._lagging[key, envelope.stream] = position
        self._done.add((key, position))
        fresh.add(key)
        shape, before = self._plan.shape, self._rows.get(key)
        assert shape is not None
        value = None if before is None else msgspec.json.decode(before, type=shape.model)
        after = fold_one(self._plan, self._plan.steps[type(envelope.event)], key, value, envelope)
        if after is None:
            self._rows.pop(key, None)
        else:
            self._rows[key] = _encode(after)

    def _keys(self, position: int) -> list[str]:
        if position > len(self._events):
            return []
        envelope = self._events[position - 1]
        step = self._plan.steps.get(type(envelope.event))
        if step is None:
            return []
        try:
            return list(keys_of(self._plan, step, envelope))
        except ProjectionFailed:
            return []


def _decoded(registry: Registry, stored: StoredEvent) -> Envelope:
    return Envelope(registry.decode(stored.type, stored.schema, stored.data), stored)


def _told(one: Written) -> str:
    return f"{one.projection} {one.after}..{one.upto} by {one.process}"
