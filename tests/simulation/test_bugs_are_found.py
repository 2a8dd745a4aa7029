"""The simulation is itself tested: it must find each of these wrong variants, and says how soon."""

from __future__ import annotations

import pytest
from tests.simulation.bugs import BUGS

from diptych.testing.simulation import TALLIES


def seeds_until_found(bug) -> int | None:
    with bug.apply():
        for seed in range(bug.seeds):
            try:
                TALLIES.run(seed)
            except (AssertionError, RuntimeError) as error:
                print(f"{bug.name} is found with seed {seed}: {str(error)[:200]}")  # noqa: T201
                return seed + 1
    return None


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", BUGS)
def test_a_wrong_variant_is_found(name):
    assert seeds_until_found(BUGS[name]) is not None, f"not found in {BUGS[name].seeds} seeds"


def test_there_are_enough_of_them():
    assert len(BUGS) >= 12
