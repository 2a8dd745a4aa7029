"""Folding event by event, each key apart from the others: what fails parks its key, and no other.

This is the slow way, taken only when a batch has failed. The rows are copied before each event,
because a method that raises may have changed its row already.
"""

from __future__ import annotations

import copy
import traceback
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from diptych.errors import ProjectionFailed
from diptych.messages.envelope import Envelope
from diptych.queries.fold import fold_one, keys_of, statements_of
from diptych.queries.omitted import Omitted
from diptych.queries.parked import Lane, Parked
from diptych.queries.projection import Plan
from diptych.queries.read_store import Row, Statement

__all__ = ["Apart", "parked_because"]

LONGEST_ERROR = 500
LONGEST_TRACE = 4_000
"""Characters of a stack that are kept: its end, where the error is."""


class Apart:
    """Rows of one projection while events are folded into them one by one.

    `parked` is what failed and what follows it, `succeeded` how many events went well. What is in
    `lanes` waits from the beginning.
    """

    def __init__(
        self,
        plan: Plan,
        rows: Mapping[str, Row],
        lanes: Collection[Lane],
        at_us: int,
        omitted: Omitted | None = None,
    ) -> None:
        self.parked: list[Parked] = []
        self.statements: list[Statement] = []
        self.succeeded = 0
        self._plan = plan
        self._values: dict[str, Any] = {key: row.value for key, row in rows.items()}
        self._touched: dict[str, int] = {}
        self._lanes = set(lanes)
        self._at_us = at_us
        self._omitted = omitted or Omitted(())

    def fold(self, envelopes: Iterable[Envelope]) -> None:
        """Fold what the projection wants of these events, in order."""
        for envelope in envelopes:
            wanted = type(envelope.event) in self._plan.steps
            if wanted and not self._omitted.leaves_out_all(envelope):
                self._fold(envelope)

    def rows(self) -> list[Row]:
        """What has been written since the beginning."""
        return [
            Row(key, position, self._values[key])
            for key, position in self._touched.items()
            if self._values[key] is not None
        ]

    def deleted(self) -> list[str]:
        """Keys whose rows are to go."""
        return [key for key in self._touched if self._values[key] is None]

    def _fold(self, envelope: Envelope) -> None:
        stream = Lane(envelope.stream, by_stream=True)
        if stream in self._lanes:
            self._park(stream, envelope)
            return
        step = self._plan.steps[type(envelope.event)]
        try:
            if self._plan.shape is None:
                self.statements += statements_of(self._plan, step, envelope)
                self.succeeded += 1
                return
            keys = keys_of(self._plan, step, envelope)
        except ProjectionFailed as error:
            self._park(stream, envelope, error)
            return
        for key in keys:
            if self._omitted.leaves_out(key, envelope):
                continue
            lane = Lane(key)
            if lane in self._lanes:
                self._park(lane, envelope)
                continue
            try:
                before = copy.deepcopy(self._values.get(key))
                after = fold_one(self._plan, step, key, before, envelope)
            except ProjectionFailed as error:
                self._park(lane, envelope, error)
            else:
                self._values[key] = after
                self._touched[key] = envelope.position
                self.succeeded += 1

    def _park(self, lane: Lane, envelope: Envelope, error: ProjectionFailed | None = None) -> None:
        self._lanes.add(lane)
        self.parked.append(parked_because(error, lane, envelope.stored, self._at_us))


def parked_because(
    error: BaseException | None, lane: Lane, stored: Any, at_us: int, attempts: int = 1
) -> Parked:
    """The entry of a stored event that failed with `error`; None: it follows one that did."""
    if error is None:
        return Parked(
            lane.name,
            stored.position,
            stored.stream,
            stored.type,
            because="follows",
            by_stream=lane.by_stream,
            attempts=0,
            at_us=at_us,
        )
    cause = error.__cause__ if isinstance(error, ProjectionFailed) and error.__cause__ else error
    return Parked(
        lane.name,
        stored.position,
        stored.stream,
        stored.type,
        by_stream=lane.by_stream,
        error=_storable(f"{type(cause).__name__}: {cause}"[:LONGEST_ERROR]),
        trace=_storable("".join(traceback.format_exception(cause))[-LONGEST_TRACE:]),
        attempts=attempts,
        at_us=at_us,
    )


def _storable(text: str) -> str:
    """Text that every store can keep: what failed is often in it, and must not fail this, too."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
