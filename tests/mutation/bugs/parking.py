"""Bugs of what happens to events that cannot be folded."""

from __future__ import annotations

from tests.mutation.bug import Patch, bug
from tests.mutation.patching import rewritten

from diptych.sync.parking import Parking
from diptych.sync.step import Stepping
from diptych.sync.subscription import EventDecoder

__all__: list[str] = []

RUNNER = "tests/unit/sync/test_runner.py::"


@bug(
    "Marten (SkipApplyErrors, on by default), #4539",
    "An event that fails is skipped, and the row is wrong from then on",
    [RUNNER + "test_an_event_that_fails_parks_its_key_and_everything_else_goes_on"],
)
def failing_events_skipped() -> Patch:
    return rewritten(Stepping._fold_apart, ("        apart.parked,\n    )", "        [],\n    )"))


@bug(
    "Marten (SkipUnknownEvents, on by default), #4539",
    "An event of a type that this release does not know is skipped, not left for the next one",
    [RUNNER + "test_an_unknown_event_type_parks_its_stream_and_is_never_skipped"],
)
def unknown_types_skipped() -> Patch:
    return rewritten(EventDecoder._rare, ("self._registry.named(one.type)", "return"))


@bug(
    "Marten (SkipSerializationErrors, on by default), #4539",
    "An event that cannot be decoded is skipped",
    [RUNNER + "test_an_event_of_a_newer_shape_is_parked_and_never_skipped"],
)
def undecodable_events_skipped() -> Patch:
    broken = "return Delivery(envelopes, after, upto, (one, self._reason(one)))"
    return rewritten(EventDecoder.decode, (broken, "pass"))


@bug(
    "Marten #5229",
    "What fails cannot be parked either, and nobody is told: the event is gone",
    [RUNNER + "test_a_store_that_can_park_nothing_stops_only_whom_it_refuses_and_says_so"],
)
def failure_to_park_swallowed() -> Patch:
    return rewritten(
        Stepping._write,
        (
            "        await self._store.apply([change for _, change in folded])\n",
            (
                "        try:\n"
                "            await self._store.apply([change for _, change in folded])\n"
                "        except TRANSIENT:\n"
                "            raise\n"
                "        except Exception:\n"
                "            if not any(change.parked for _, change in folded):\n"
                "                raise\n"
                "            bare = [change._replace(parked=()) for _, change in folded]\n"
                "            await self._store.apply(bare)\n"
            ),
        ),
    )


@bug(
    "Axon #2021",
    "What follows a parked event of the same key is folded before it",
    [RUNNER + "test_an_event_that_fails_parks_its_key_and_everything_else_goes_on"],
)
def followers_folded_before_the_parked_one() -> Patch:
    return rewritten(Parking.followers, ("    if not self.lanes:\n", "    if True:\n"))
