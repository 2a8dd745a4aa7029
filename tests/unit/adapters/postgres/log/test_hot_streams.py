"""Who can be refused without asking the database."""

from __future__ import annotations

from diptych.adapters.postgres.hot_streams import refuse_stale
from diptych.adapters.postgres.jobs import AppendJob
from diptych.errors import VersionConflict
from diptych.events.log import (
    ANY_VERSION,
    Append,
    Appended,
    CommandRecord,
    EventToStore,
    StreamAppend,
)

FACT = EventToStore("Counted", 1, b"{}", b"{}")


def job(expected, *streams, **more):
    names = streams or ("a",)
    parts = tuple(StreamAppend(name, expected, (FACT,)) for name in names)
    return AppendJob(Append(parts, **more))


def stale(settled, *later):
    waiting, refused = refuse_stale(settled, later)
    return [later.index(one) for one in waiting], {later.index(one): e.actual for one, e in refused}


WON = [(job(5), Appended(9, 1))]


def test_who_expected_the_version_of_the_winner_is_refused():
    assert stale(WON, job(5), job(5), job(6)) == ([2], {0: 6, 1: 6})


def test_who_comes_after_one_that_may_win_has_to_wait():
    assert stale(WON, job(6), job(5), job(7)) == ([0, 1, 2], {})


def test_a_conflict_tells_where_the_stream_stands():
    lost = [(job(5), VersionConflict("", stream="a", expected=5, actual=8))]
    assert stale(lost, job(5), job(8)) == ([1], {0: 8})


def test_what_is_more_than_events_for_one_stream_asks_the_database():
    with_id = job(5, command=CommandRecord("c", b"", b""))
    assert stale(WON, with_id, job(5)) == ([0, 1], {})
    assert stale(WON, job(5, "a", "b"), job(5)) == ([0, 1], {})


def test_where_nothing_is_known_nobody_is_refused():
    assert stale([(job(ANY_VERSION), Appended(9, 1))], job(5)) == ([0], {})
    assert stale(WON, job(5, "b"), job(ANY_VERSION)) == ([0, 1], {})
