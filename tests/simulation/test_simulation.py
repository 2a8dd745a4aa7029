"""A thousand simulated worlds, each decided by its seed: every promise is kept in all of them."""

from __future__ import annotations

import pytest

from diptych.testing.simulation import TALLIES, SimulationFailed
from diptych.testing.simulation.checkers import broken_promises
from diptych.testing.simulation.history import History

SEEDS, AT_ONCE = 1_000, 50


@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_every_promise_is_kept_whatever_goes_wrong(first):
    seeds = range(first, first + AT_ONCE)
    print(f"seeds {seeds.start} to {seeds.stop - 1}")  # noqa: T201
    assert TALLIES.run_all(seeds) == AT_ONCE


def test_a_seed_decides_everything():
    first, again = TALLIES.run(13), TALLIES.run(13)
    assert len(first.records) > 100
    assert first.records == again.records
    assert first.log == again.log


def test_a_history_can_be_kept_and_checked_again(tmp_path):
    history = TALLIES.run(13)
    history.save(tmp_path / "history.jsonl")
    again = History.load(tmp_path / "history.jsonl")
    assert again.records == history.records
    assert again.log == history.log
    assert broken_promises(again) == []


def test_worlds_differ_and_meet_what_they_are_for():
    """A checker that is never asked proves nothing."""
    kinds: set[str] = set()
    outcomes: set[str] = set()
    for seed in range(40):
        for record in TALLIES.run(seed).records:
            kinds.add(type(record).__name__)
            outcomes.add(getattr(record, "outcome", ""))
    assert kinds >= {
        "Answered", "Appended", "Asked", "Attempted", "Dropped", "Ended", "Fetched", "Leased",
        "Looked", "Reset", "Switched", "Told", "Written",
    }  # fmt: skip
    assert {"done", "rejected", "outcome_unknown", "store_unavailable", "stale_read"} <= outcomes


def test_a_failure_says_its_seed_and_how_to_do_it_again():
    def refuses(events):
        yield "nothing is right"

    from diptych.testing.simulation import Simulation, tally

    simulation = Simulation(
        tally.parts_of, tally.command_of, tally.queries_of, releases=2, invariant=refuses
    )
    with pytest.raises(SimulationFailed, match=r"seed 3: nothing is right") as failed:
        simulation.run(3)
    assert failed.value.seed == 3
    assert "python -m diptych.testing.simulation 3 --trace" in failed.value.__notes__
