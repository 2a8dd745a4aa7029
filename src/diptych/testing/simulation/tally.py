"""The application that diptych simulates itself with: tallies whose rows show every event.

A row lists the numbers of its events in their order, so that one that is lost, repeated or out of
order is seen. Some events cannot be borne by the first two releases, and one type is unknown to the
first.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from diptych.commands.aggregate import Aggregate
from diptych.commands.unit_of_work import UnitOfWork
from diptych.errors import Rejection
from diptych.messages.envelope import Envelope
from diptych.messages.kinds import Command, Event, Query
from diptych.queries.projection import Projection, keyed_by
from diptych.queries.read_model import ReadModel
from diptych.queries.reader import Reader
from diptych.testing.simulation.process import release

__all__ = ["INLINE", "NEWEST", "command_of", "decided_on_the_latest", "parts_of", "queries_of"]

NEWEST = 3
"""The first release that bears every event; the first one does not know `Marked`."""

_TALLIES = "abcd"


class Add(Command):
    """Add to one tally."""

    tally_id: str
    number: int
    amount: int


class Take(Command):
    """Take from one tally, which must have as much."""

    tally_id: str
    number: int
    amount: int


class Carry(Command):
    """Take from one tally what the rows of two show."""

    tally_id: str
    target: str
    number: int


class Both(Command):
    """Add to two tallies at once."""

    first: str
    second: str
    number: int


class Mark(Command):
    """Known from the second release on."""

    tally_id: str
    number: int


class Added(Event, tags=("tally_id",)):
    """`total` is what the tally has then."""

    tally_id: str
    number: int
    amount: int
    total: int


class Carried(Event, tags=("tally_id", "target")):
    """An event that two rows show."""

    tally_id: str
    target: str
    number: int
    total: int


class Marked(Event, tags=("tally_id",)):
    """An event that the first release does not know."""

    tally_id: str
    number: int
    total: int


class Shown(ReadModel, key="tally_id", indexes=("total",)):
    """All events of a tally, in order, and those of others that it is the target of.

    These are sorted: between streams there is no order that a retry of a whole stream could keep.
    """

    tally_id: str
    numbers: list[int] = []
    carried: list[int] = []
    total: int = 0


class Counted(ReadModel, key="tally_id"):
    """How many there were, asynchronously."""

    tally_id: str
    count: int = 0


class Latest(ReadModel, key="tally_id"):
    """The last number, committed with its event."""

    tally_id: str
    number: int = 0


class GetShown(Query[Shown | None]):
    """One row."""

    tally_id: str


class GetRichest(Query[list[Shown]]):
    """Rows by a field."""

    limit: int = 3


class GetAll(Query[tuple[Shown | None, Counted | None]]):
    """Rows of two read models."""

    tally_id: str


class GetLatest(Query[Latest | None]):
    """A row that is never behind."""

    tally_id: str


def _rows_of(event: Carried) -> list[str]:
    if release.get() < NEWEST and event.number % 4 == 1:
        raise ValueError(f"{event.number} has no key")
    return [event.tally_id, event.target]


class _First:
    """The first release."""

    class Tally(Aggregate, key="tally_id"):
        total: int = 0

        def add(self, command: Add) -> Added:
            total = self.total + command.amount
            return Added(command.tally_id, command.number, command.amount, total)

        def take(self, command: Take) -> Added:
            if command.amount > self.total:
                raise Rejection("there is not as much", total=self.total)
            total = self.total - command.amount
            return Added(command.tally_id, command.number, -command.amount, total)

        def carry(self, command: Carry) -> Carried:
            return Carried(command.tally_id, command.target, command.number, self.total)

        def added(self, event: Added) -> None:
            self.total = event.total

        def carried(self, event: Carried) -> None:
            self.total = event.total

    class Showing(Projection[Shown]):
        def added(self, row: Shown, event: Added) -> None:
            row.numbers.append(event.number)
            row.total = event.total
            if release.get() < NEWEST and event.number % 5 == 3:
                raise ValueError(f"{event.number} cannot be borne")

        @keyed_by(_rows_of)
        def carried(self, row: Shown, event: Carried) -> None:
            if row.tally_id == event.tally_id:
                row.numbers.append(event.number)
            else:
                row.carried = sorted([*row.carried, event.number])

    class Counting(Projection[Counted]):
        def added(self, row: Counted, event: Added) -> None:
            row.count += 1

    class Latests(Projection[Latest]):
        def added(self, row: Latest, event: Added) -> None:
            row.number = event.number


class _Second:
    """What is other in the second release."""

    class Tally(_First.Tally, key="tally_id"):
        def mark(self, command: Mark) -> Marked:
            return Marked(command.tally_id, command.number, self.total)

        def marked(self, event: Marked) -> None:
            self.total = event.total

    class Showing(_First.Showing):
        def marked(self, row: Shown, event: Marked) -> None:
            row.numbers.append(event.number)

    class Counting(_First.Counting):
        def marked(self, row: Counted, event: Marked) -> None:
            row.count += 1


async def both(command: Both, work: UnitOfWork) -> None:
    """Two streams in one append."""
    for tally_id in sorted({command.first, command.second}):
        await work.decide(_First.Tally, tally_id, Add(tally_id, command.number, 1))


async def both_later(command: Both, work: UnitOfWork) -> None:
    """The same in the second release."""
    for tally_id in sorted({command.first, command.second}):
        await work.decide(_Second.Tally, tally_id, Add(tally_id, command.number, 1))


async def get_shown(query: GetShown, rows: Reader[Shown]) -> Shown | None:
    """By key."""
    return await rows.get(query.tally_id)


async def get_richest(query: GetRichest, rows: Reader[Shown]) -> list[Shown]:
    """By a field."""
    return await rows.find(order_by="-total", limit=query.limit)


async def get_all(
    query: GetAll, rows: Reader[Shown], counts: Reader[Counted]
) -> tuple[Shown | None, Counted | None]:
    """Of two projections."""
    return await rows.get(query.tally_id), await counts.get(query.tally_id)


async def get_latest(query: GetLatest, rows: Reader[Latest]) -> Latest | None:
    """What is inline."""
    return await rows.get(query.tally_id)


_QUERIES = [get_shown, get_richest, get_all, get_latest]
_PARTS = [
    [_First.Tally, _First.Showing, _First.Counting, _First.Latests, both, *_QUERIES],
    [_Second.Tally, _Second.Showing, _Second.Counting, _First.Latests, both_later, *_QUERIES],
]

INLINE = [_First.Latests]


def parts_of(number: int) -> Sequence[Any]:
    """What a release of the application is made of."""
    return _PARTS[min(number, len(_PARTS)) - 1]


def command_of(chance: random.Random, number: int, of_release: int) -> Any:
    """A command that a client of a release might send."""
    tally_id, other = chance.choice(_TALLIES), chance.choice(_TALLIES)
    kind = chance.choice("aaaattcbbm")
    if kind == "t":
        return Take(tally_id, number, chance.randrange(12))
    if kind == "c":
        return Carry(tally_id, other, number)
    if kind == "b":
        return Both(tally_id, other, number)
    if kind == "m" and of_release > 1:
        return Mark(tally_id, number)
    return Add(tally_id, number, chance.randrange(1, 9))


def queries_of(chance: random.Random, command: Any) -> Any:
    """A question that the sender of a command might ask then."""
    tally_id = getattr(command, "tally_id", None) or command.first
    kind = chance.choice("kkkral")
    if kind == "r":
        return GetRichest()
    if kind == "a":
        return GetAll(tally_id)
    return GetLatest(tally_id) if kind == "l" else GetShown(tally_id)


def decided_on_the_latest(events: Iterable[Envelope]) -> Iterator[str]:
    """R4: every event was decided on what all before it had made of its tally."""
    totals: Counter[str] = Counter()
    for envelope in events:
        event = envelope.event
        totals[event.tally_id] += getattr(event, "amount", 0)
        if event.total != totals[event.tally_id]:
            yield (
                f"position {envelope.position} says that {event.tally_id} has {event.total}, and "
                f"it has {totals[event.tally_id]}"
            )
        if event.total < 0:
            yield f"position {envelope.position} took more from {event.tally_id} than there was"
