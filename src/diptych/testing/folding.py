"""Given events, then rows: a projection on trial, without an event loop and without a store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import msgspec

from diptych.messages.envelope import Envelope
from diptych.queries.fold import Batch
from diptych.queries.projection import Plan
from diptych.queries.read_store import Row
from diptych.testing.difference import differences, indented
from diptych.testing.other_process import unsteady_elsewhere
from diptych.testing.recording import bare, check_stored, envelopes_of
from diptych.testing.steadiness import unsteady_rows

__all__ = ["FoldScenario", "Folded"]

_SPLIT_IN_TWO_UP_TO = 24
"""Every way to cut up to so many events in two is tried; of more, some ways."""


class FoldScenario:
    """A projection that has seen nothing. Next: `given`."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def given(self, *events: Any) -> Folded:
        """Events in the order of the log; `recorded(event, at=...)` fills their envelopes."""
        return Folded(self._plan, events)


class Folded:
    """What a projection made of events. Next: `then`, `then_includes`, `then_no_row`,
    `then_steady`, or `when` more events have happened.

    Folding has checked what no test should have to say: the rows are the same whichever way the
    events are cut into batches, and the same a second time; each row stands under its own key and
    survives being stored; no event was changed.
    """

    def __init__(self, plan: Plan, events: Sequence[Any]) -> None:
        assert plan.shape is not None
        self._plan = plan
        self._events = events
        self._key = plan.shape.key
        self._store: Callable[[bytes], Any] = msgspec.json.Decoder(plan.shape.model).decode
        before = [check_stored(event) for event in bare(events)]
        self._rows = self._fold([len(events)])
        for sizes in _cuts(len(events)):
            self._check_same(sizes, self._fold(sizes))
        if before != [check_stored(event) for event in bare(events)]:
            self._complain(
                "changes an event while folding: a row holds a list or dict of the event instead "
                "of a copy of it",
                [],
            )

    def when(self, *events: Any) -> Folded:
        """More events happen."""
        return Folded(self._plan, [*self._events, *events])

    def then(self, *rows: Any) -> Folded:
        """There are exactly these rows."""
        self.then_includes(*rows)
        expected = {getattr(row, self._key) for row in rows}
        extra = [self._rows[key] for key in self._rows if key not in expected]
        if extra:
            self._fail(rows, [f"not expected: {row!r}" for row in extra])
        return self

    def then_includes(self, *rows: Any) -> Folded:
        """There are these rows, and perhaps others."""
        wrong: list[str] = []
        for row in rows:
            key = getattr(row, self._key)
            if key not in self._rows:
                wrong.append(f"{key!r}: expected {row!r}, was missing")
            else:
                wrong += differences(row, self._rows[key], at=repr(key))
        if wrong:
            self._fail(rows, wrong)
        return self

    def then_no_row(self, *keys: str) -> Folded:
        """There is no row with one of these keys."""
        there = [key for key in keys if key in self._rows]
        if there:
            self._fail(
                [f"no row {key!r}" for key in keys],
                [f"{key!r}: expected no row, was {self._rows[key]!r}" for key in there],
            )
        return self

    def then_nothing(self) -> Folded:
        """There are no rows at all."""
        return self.then()

    def then_steady(self) -> Folded:
        """The rows stay what they are whatever happens to those who fold them.

        That is: after restarts at each checkpoint and deliveries that come twice, in a rebuild from
        nothing, when events of different keys change places, and (where the projection can be
        loaded there) in another process. `diptych.testing.properties` asks this of many histories.
        """
        wrong = unsteady_rows(self._plan, self._events, self._rows)
        wrong = wrong or unsteady_elsewhere(self._plan, self._events)
        if wrong:
            self._complain(*wrong)
        return self

    @property
    def rows(self) -> dict[str, Any]:
        """The rows by their keys."""
        return self._rows

    # -- folding as a runner would ---------------------------------------------------------------

    def _fold(self, sizes: Sequence[int]) -> dict[str, Any]:
        stored: dict[str, bytes] = {}
        for after, batch in _batches(envelopes_of(self._events), sizes):
            work = Batch(self._plan, batch, after, after + len(batch))
            known = {
                key: Row(key, after, self._store(stored[key])) for key in work.keys if key in stored
            }
            change = work.change(known)
            for row in change.rows:
                stored[row.key] = self._kept(row)
            for key in change.deleted:
                stored.pop(key, None)
        return {key: self._store(data) for key, data in sorted(stored.items())}

    def _kept(self, row: Row) -> bytes:
        own = getattr(row.value, self._key)
        if own != row.key or not isinstance(row.key, str):
            self._complain(
                f"writes {row.value!r} under the key {row.key!r}: a row's key is a str and stands "
                f"in its field {self._key}",
                [],
            )
        data = b""
        try:
            data = msgspec.json.encode(row.value)
            lost = differences(row.value, self._store(data))
        except (TypeError, ValueError, OverflowError) as error:
            lost = [str(error)]
        if lost:
            self._complain(f"makes a row that does not survive being stored: {row.value!r}", lost)
        return data

    def _check_same(self, sizes: Sequence[int], rows: dict[str, Any]) -> None:
        different = differences(self._rows, rows)
        if different:
            ways = " + ".join(str(size) for size in sizes)
            many = len(self._events)
            come = f"{many} events come" if many > 1 else "event comes"
            self._complain(
                f"gives other rows when the same {come} in batches of "
                f"{ways} (expected: as in one batch): it looks at something besides row and event",
                different,
            )

    # -- explaining ------------------------------------------------------------------------------

    def _complain(self, what: str, lines: Sequence[str]) -> NoReturn:
        shown = [f"  {line}" for line in lines]
        story = indented("given", self._events)
        raise AssertionError("\n".join([f"{self._plan.name} {what}.", "", *story, "", *shown]))

    def _fail(self, expected: Sequence[Any], lines: Sequence[str]) -> NoReturn:
        raise AssertionError(
            "\n".join(
                [
                    f"{self._plan.name} did not fold as expected.",
                    "",
                    *indented("given", self._events),
                    *indented("then", expected),
                    *indented("but", list(self._rows.values())),
                    "",
                    *(f"  {line}" for line in lines),
                ]
            )
        )


def _cuts(count: int) -> Iterator[list[int]]:
    """Ways to cut `count` events into batches: the same again, one by one, by twos, in two."""
    yield [count]
    if count < 2:
        return
    yield [1] * count
    yield [2] * (count // 2) + [1] * (count % 2)
    step = max(1, count // _SPLIT_IN_TWO_UP_TO)
    for first in range(1, count, step):
        yield [first, count - first]


def _batches(
    envelopes: Sequence[Envelope], sizes: Sequence[int]
) -> Iterator[tuple[int, Sequence[Envelope]]]:
    after = 0
    for size in sizes:
        yield after, envelopes[after : after + size]
        after += size
