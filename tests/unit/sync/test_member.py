"""How many events a runner dares to fold at once after holders have died."""

from __future__ import annotations

from banking import Balances

from diptych.queries.projection import plan_of
from diptych.sync.member import CALM_BATCHES, Member
from diptych.sync.terms import Terms

MOST = 5_000


def after(crashes: int, position: int = 0, suspect: int = 25_000) -> Member:
    member = Member(plan_of(Balances))
    member.position = position
    member.terms = Terms(crashes=crashes, suspect=suspect)
    return member


def test_the_more_holders_died_the_fewer_events_are_folded_at_once():
    assert [after(crashes).limit(MOST) for crashes in range(7)] == [MOST, MOST, 625, 78, 9, 1, 1]


def test_beyond_what_is_suspected_as_many_as_ever_are():
    assert after(6, position=25_000).limit(MOST) == MOST


def test_batches_that_go_well_make_the_next_ones_larger_again():
    """Else holders killed for other reasons would leave 25,000 events to be folded one by one."""
    member = after(5)
    folded = batches = 0
    while member.limit(MOST) < MOST:
        folded += member.limit(MOST)
        batches += 1
        member.calm += 1
    assert batches < 100
    assert folded > 8 * MOST / 2


def test_what_kills_is_come_closer_to_with_every_death():
    """Eight times closer, or nearly: it is found, alone, after a few deaths wherever it is."""
    for culprit in (0, 1, 77, 4_999, 20_000):
        position = deaths = 0
        while True:
            deaths += 1
            member = after(deaths, position)
            while position + member.limit(MOST) <= culprit:
                position += member.limit(MOST)
                member.calm += 1
            if member.limit(MOST) == 1:
                break
        assert position == culprit
        assert deaths <= 9, culprit
    assert CALM_BATCHES == 8
