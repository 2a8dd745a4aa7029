"""What a runner knows of what is parked."""

from __future__ import annotations

from poison import PARTS, Histories, Moved, Noted

from diptych import App, Envelope
from diptych.events.log import StoredEvent
from diptych.queries.parked import Parked
from diptych.sync.parking import Parking


def envelope(position: int, event: object, stream: str = "Account-a") -> Envelope:
    stored = StoredEvent(position, stream, position, type(event).__name__, 1, b"{}", b"{}", 0)
    return Envelope(event, stored)


def parking_of(*entries: Parked) -> Parking:
    made = Parking(App("poisoned", PARTS).plan_named(Histories))
    made.learn(entries)
    return made


def entry(key: str, position: int, **more: object) -> Parked:
    return Parked(key, position, "Account-a", "Noted", **more)  # type: ignore[arg-type]


def test_the_events_of_a_key_follow_the_one_that_failed_and_no_others_do():
    parking = parking_of(entry("a", 1))
    events = [
        envelope(2, Noted("a", 2)),
        envelope(3, Noted("b", 3)),
        envelope(4, Moved("c", "a", 4)),
    ]
    found = parking.followers(events, 7)
    assert [(one.key, one.position, one.because, one.at_us) for one in found] == [
        ("a", 2, "follows", 7),
        ("a", 4, "follows", 7),
    ]


def test_what_was_skipped_does_not_follow_again():
    parking = parking_of(
        entry("a", 1),
        entry("Account-s", 1, by_stream=True),
        entry("a", 2, because="skipped"),
        entry("Account-s", 3, because="skipped", by_stream=True),
    )
    events = [
        envelope(2, Moved("a", "b", 2)),
        envelope(3, Noted("s", 3), "Account-s"),
        envelope(4, Noted("s", 4), "Account-s"),
    ]
    assert [(one.key, one.position) for one in parking.followers(events, 0)] == [("Account-s", 4)]
    assert parking.waits_for(["a", "b"], events[0]) == ["b"]
    assert parking.skips_all(events[1].stored)
    assert not parking.skips_all(events[0].stored)
