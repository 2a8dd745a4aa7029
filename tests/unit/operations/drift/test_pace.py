"""Going slowly."""

from __future__ import annotations

import pytest

from diptych.environment import Environment
from diptych.operations.drift.pace import Pace


async def test_no_more_than_so_many_a_second():
    environment = Environment.seeded(1)
    pace, started = Pace(environment, 100), environment.monotonic_s()
    for _ in range(30):
        await pace.spend(pace.at_once(1_000))
    assert environment.monotonic_s() - started == pytest.approx(3)


async def test_what_takes_its_own_time_is_not_slowed_down_further():
    environment = Environment.seeded(1)
    pace, started = Pace(environment, 100), environment.monotonic_s()
    for _ in range(10):
        environment.advance(0.5)
        await pace.spend(10)
    assert environment.monotonic_s() - started == 5


async def test_no_more_is_saved_up_than_is_spent_at_once():
    environment = Environment.seeded(1)
    pace = Pace(environment, 100)
    environment.advance(3_600)
    await pace.spend(10)
    started = environment.monotonic_s()
    await pace.spend(100)
    assert environment.monotonic_s() - started == pytest.approx(1)


async def test_without_a_limit_no_time_passes():
    environment = Environment.seeded(1)
    pace, started = Pace(environment), environment.monotonic_s()
    await pace.spend(pace.at_once(1_000_000))
    assert environment.monotonic_s() == started


def test_as_many_at_once_as_go_in_a_tenth_of_a_second():
    environment = Environment.seeded(1)
    assert [Pace(environment, rate).at_once(1_000) for rate in (1, 500, 9_000, 20_000)] == [
        1,
        50,
        900,
        1_000,
    ]
