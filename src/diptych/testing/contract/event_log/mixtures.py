"""Appends of any shape that are submitted together, judged as if one came after the other (G8)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from diptych.errors import AppendConditionFailed, VersionConflict
from diptych.events.condition import AppendCondition, EventFilter
from diptych.events.log import (
    ANY_VERSION,
    Append,
    Appended,
    EventLog,
    Snapshot,
    StoredEvent,
    StreamAppend,
)
from diptych.testing.contract.event_log.words import (
    assert_dense,
    command,
    everything,
    fact,
    snapshot,
)

__all__ = ["History", "any_appends"]

_STREAMS = ("a", "b", "c", "d")
_TYPES = ("Red", "Green", "Blue")
_TAGS = ("round", "flat")


def any_appends(chance: random.Random, standing: dict[str, int], count: int) -> list[Append]:
    """Appends to a handful of streams, some of which get in each other's way.

    `standing` is where the streams stand before.
    """
    return [_any_append(chance, standing, sum(standing.values())) for _ in range(count)]


def _any_append(chance: random.Random, standing: dict[str, int], head: int) -> Append:
    names = chance.sample(_STREAMS, chance.choice((0, 1, 1, 1, 1, 2, 2, 3)))
    streams = tuple(_any_stream(chance, name, standing.get(name, 0)) for name in names)
    return Append(
        streams,
        condition=_any_condition(chance, head) if chance.random() < 0.25 else None,
        snapshots=_any_snapshots(chance, standing) if chance.random() < 0.25 else (),
        command=command(f"c-{chance.randrange(12)}") if chance.random() < 0.4 else None,
    )


def _any_stream(chance: random.Random, name: str, stands: int) -> StreamAppend:
    events = tuple(
        fact(
            chance.randrange(1 << 40),
            chance.choice(_TYPES),
            chance.sample(_TAGS, chance.choice((0, 0, 1, 2))),
        )
        for _ in range(chance.choice((0, 1, 1, 1, 1, 2, 5)))
    )
    expected = chance.choice((ANY_VERSION, ANY_VERSION, stands, stands, stands + 1))
    return StreamAppend(name, expected, events)


def _any_condition(chance: random.Random, head: int) -> AppendCondition:
    filters = tuple(
        EventFilter(
            tuple(chance.sample(_TYPES, chance.choice((0, 1, 2)))),
            tuple(chance.sample(_TAGS, chance.choice((0, 1, 2)))),
        )
        for _ in range(chance.choice((1, 1, 2)))
    )
    return AppendCondition(filters, max(head - chance.choice((0, 0, 0, 1)), 0))


def _any_snapshots(chance: random.Random, standing: dict[str, int]) -> tuple[Snapshot, ...]:
    names = chance.sample(_STREAMS, chance.choice((1, 1, 2)))
    # Each of its own, so that a log that keeps the wrong one is found out.
    return tuple(
        snapshot(name, standing.get(name, 0) + chance.randrange(3), b"%d" % chance.getrandbits(60))
        for name in names
    )


class _Moment(NamedTuple):
    """The log between two appends: its head, and where the streams stood."""

    head: int
    standing: dict[str, int]


class History:
    """What a log is told, round by round, and what it has to show for it."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._events: list[StoredEvent] = []
        self._tags: list[tuple[str, ...]] = []
        self._known: dict[str, Appended] = {}
        self._snapshots: dict[str, list[Snapshot]] = {}

    @property
    def standing(self) -> dict[str, int]:
        """Where the streams stand."""
        return self._standing(len(self._events))

    async def assert_one_after_the_other(
        self, appends: Sequence[Append], outcomes: Sequence[object]
    ) -> None:
        """Every outcome is one that its append alone would have had, at some moment since the last
        round; and the log holds what was appended, and nothing else.
        """
        before = len(self._events)
        both = list(zip(appends, outcomes, strict=True))
        written = [
            (append, said)
            for append, said in both
            if isinstance(said, Appended) and said.repeated is None
        ]
        placed = sorted((one for one in written if one[1].events), key=lambda one: one[1].first)
        self._events = await everything(self._log)
        self._tags += [
            event.tags for append, _ in placed for one in append.streams for event in one.events
        ]
        heads = [before, *(said.last for _, said in placed)]
        moments = [_Moment(head, self._standing(head)) for head in heads]
        assert len(self._events) == heads[-1], "there are events that nobody was told of"
        for (append, said), moment in zip(placed, moments, strict=False):
            self._assert_placed(append, said, moment)
        self._record(written)
        for append, told in both:
            just = any(self._is_just(append, told, moment) for moment in moments)
            assert just, f"{append} was told {told!r}"
        await self._assert_kept(appends)

    def _standing(self, head: int) -> dict[str, int]:
        return {event.stream: event.version for event in self._events[:head]}

    def _assert_placed(self, append: Append, said: Appended, moment: _Moment) -> None:
        wanted = [(to.stream, one.type, one.data) for to in append.streams for one in to.events]
        assert said.first == moment.head + 1, "there is a hole, or a place taken twice"
        found = self._events[moment.head : said.last]
        assert [(one.stream, one.type, one.data) for one in found] == wanted
        assert self._is_just(append, said, moment), f"{append} was written where it may not be"

    def _record(self, written: Sequence[tuple[Append, Appended]]) -> None:
        for append, said in written:
            if append.command is not None:
                known = append.command.command_id
                assert known not in self._known, f"{append} had its effect once before"
                self._known[known] = said
            for one in append.snapshots:
                self._snapshots.setdefault(one.stream, []).append(one)

    def _is_just(self, append: Append, said: object, moment: _Moment) -> bool:
        """Whether the append, alone at this moment, would have been told the same."""
        if isinstance(said, Appended):
            if said.repeated is not None:
                known = append.command.command_id if append.command else ""
                return self._known[known][:2] == said[:2]
            return not self._conflicts(append, moment) and not self._forbidden(append, moment)
        if isinstance(said, VersionConflict):
            return (said.stream, said.expected, said.actual) in self._conflicts(append, moment)
        if isinstance(said, AppendConditionFailed):
            return said.position in self._forbidden(append, moment)
        return False

    def _conflicts(self, append: Append, moment: _Moment) -> list[tuple[str, int, int]]:
        return [
            (stream, expected, moment.standing.get(stream, 0))
            for stream, expected, _ in append.streams
            if expected not in {ANY_VERSION, moment.standing.get(stream, 0)}
        ]

    def _forbidden(self, append: Append, moment: _Moment) -> list[int]:
        if append.condition is None:
            return []
        return [
            position
            for position in range(append.condition.after + 1, moment.head + 1)
            if any(
                wanted.matches(self._events[position - 1].type, self._tags[position - 1])
                for wanted in append.condition.filters
            )
        ]

    async def _assert_kept(self, appends: Sequence[Append]) -> None:
        assert_dense(self._events)
        for append in appends:
            if append.command is not None:
                known = append.command.command_id
                recorded = await self._log.command(known)
                assert (recorded is not None) == (known in self._known), known
                if recorded is not None:
                    assert (recorded.first, recorded.events) == self._known[known][:2]
        for stream in _STREAMS:
            given = self._snapshots.get(stream, [])
            newest = max((one.version for one in given), default=0)
            kept = await self._log.snapshot(stream)
            if kept is None:
                assert not given, f"the snapshot of {stream} was lost"
            else:
                assert kept in given, f"a snapshot of {stream} that nobody gave"
                assert kept.version == newest, f"an older snapshot of {stream}"
