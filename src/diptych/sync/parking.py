"""What a runner knows of what is parked: who waits, who was skipped, and when it is too much.

An event that fails parks its key, and the later events of that key follow it, in order; everything
else flows. When event after event fails, it is not the events: then the projection stands still.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from diptych.errors import ProjectionFailed
from diptych.messages.envelope import Envelope, StoredEvent
from diptych.queries.fold import keys_of
from diptych.queries.omitted import Omitted
from diptych.queries.parked import Lane, Parked
from diptych.queries.projection import Plan
from diptych.sync.apart import parked_because

__all__ = ["MOST_IN_A_ROW", "MOST_PARKED", "Parking"]

MOST_IN_A_ROW = 50
"""This many failures without one success: the projection is broken, or its store."""

MOST_PARKED = 10_000
"""This many entries are kept for one projection; beyond it stands still, and nothing is lost."""


class Parking:
    """The parked and skipped events of one projection, as its runner has them in memory."""

    def __init__(self, plan: Plan) -> None:
        self.lanes: set[Lane] = set()
        self.errors = 0
        self._plan = plan
        self._entries = 0
        self._skipped: list[Parked] = []
        self._left_out = Omitted(())
        self._in_a_row = 0
        self._counted = 0

    def learn(self, entries: Collection[Parked]) -> None:
        """Take over what the store has."""
        waiting = [one for one in entries if one.waits]
        self.lanes = {one.lane for one in waiting}
        self._entries = len(waiting)
        self._skipped = [one for one in entries if not one.waits]
        self._left_out = Omitted(self._skipped)

    def skips_all(self, stored: StoredEvent) -> bool:
        """Whether somebody said that an event has no effect at all."""
        return any(one.by_stream and one.position == stored.position for one in self._skipped)

    def waits_for(self, keys: Iterable[str], envelope: Envelope) -> list[str]:
        """Of the keys of an event, those that it is not skipped for."""
        return [key for key in keys if not self._left_out.leaves_out(key, envelope)]

    def omitted(self, after: int, followers: Sequence[Parked] = ()) -> Omitted | None:
        """What has no effect among the events after `after`; None: everything has."""
        skipped = [one for one in self._skipped if one.position > after]
        return Omitted([*skipped, *followers]) if skipped or followers else None

    def followers(self, envelopes: Iterable[Envelope], at_us: int) -> list[Parked]:
        """Entries for the events of lanes that wait."""
        if not self.lanes:
            return []
        found: list[Parked] = []
        for envelope in envelopes:
            step = self._plan.steps.get(type(envelope.event))
            if step is None or self._left_out.leaves_out_all(envelope):
                continue
            stream = Lane(envelope.stream, by_stream=True)
            if stream in self.lanes:
                found.append(parked_because(None, stream, envelope.stored, at_us))
            elif self._plan.shape is not None:
                found += [
                    parked_because(None, lane, envelope.stored, at_us)
                    for key in self.waits_for(keys_of(self._plan, step, envelope), envelope)
                    if (lane := Lane(key)) in self.lanes
                ]
        return found

    def count(self, failed: Collection[Parked], succeeded: int) -> None:
        """Count what a fold has come to. Raises ProjectionFailed when it is too much.

        It counts once it is `written`: rows that the store refuses are no success.
        """
        fresh = [one for one in failed if one.because == "failed"]
        self._counted = 0 if succeeded else self._in_a_row + len(fresh)
        if self._counted >= MOST_IN_A_ROW and fresh:
            raise self._stop(fresh[0], f"{self._counted} events failed in a row and none succeeded")
        if self._entries + len(failed) > MOST_PARKED:
            first = fresh[0] if fresh else next(iter(failed))
            raise self._stop(first, f"{self._entries:,} events are parked already")

    def written(self, entries: Collection[Parked]) -> None:
        """What was counted last is written, and these are parked."""
        self._in_a_row = self._counted
        if entries:
            self.lanes.update(one.lane for one in entries)
            self._entries += len(entries)
            self.errors += sum(one.because == "failed" for one in entries)

    def _stop(self, first: Parked, what: str) -> ProjectionFailed:
        name = self._plan.name
        why = f" ({first.error})" if first.error else ""
        return ProjectionFailed(
            f"the projection {name} stands before position {first.position} ({first.type} of "
            f"{first.stream}{why}): {what}, so it is stopped instead of parking more. Mend the "
            f"projection or its store, retry what is parked (diptych parked retry {name}), and "
            "start again.",
            projection=name,
            position=first.position,
            event_type=first.type,
            stream=first.stream,
        )
