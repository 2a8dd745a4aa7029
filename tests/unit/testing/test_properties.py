"""What every projection keeps to, and that nothing that does not is let through."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import strategies as st

from diptych import Event, Projection, ReadModel
from diptych.errors import ConfigurationError, ProjectionFailed
from diptych.testing import properties, recorded, scenario
from diptych.testing.properties import UnsteadyProjection

sys.path.insert(0, str(Path(__file__).parent))

import unsteady  # noqa: E402  beside this file, so that another process can load it

SEED = 7


def found_in(projection, **options) -> UnsteadyProjection:
    with pytest.raises(UnsteadyProjection) as failed:
        properties(projection, seed=SEED, **options)
    return failed.value


def last_line(text: str) -> str:
    return text.split("\n", 1)[0]


WRONG = [
    (unsteady.UsesTheClock, "a second time|in batches"),
    (unsteady.UsesTime, "in batches"),
    (unsteady.UsesChance, "in batches"),
    (unsteady.UsesIds, "in batches"),
    (unsteady.CountsInTheModule, "in batches"),
    (unsteady.CountsInTheObject, "in batches"),
    (unsteady.SharesADefault, "in batches"),
    (unsteady.LooksAtTheRowBefore, "in batches|other keys|rebuilt"),
    (unsteady.DependsOnOtherKeys, "restarted|other keys"),
    (unsteady.OrderOfASet, "in another process"),
    (unsteady.UsesHash, "in another process"),
    (unsteady.ChangesTheEvent, "changes an event"),
    (unsteady.KeepsAListOfTheEvent, "changes an event|in batches"),
    (unsteady.DoesNotSurvive, "does not survive"),
    (unsteady.WrongType, "does not survive"),
    (unsteady.NotJson, "does not survive"),
    (unsteady.MovesTheKey, "under the key"),
    (unsteady.DependsOnTheBatch, "in batches"),
    (unsteady.WrongUpsert, "does not run"),
    (unsteady.UpsertWithoutAKey, "does not run"),
    (unsteady.SqlClock, "time or for chance"),
    (unsteady.SqlOfTheBatch, "second time|restarted"),
]


@pytest.mark.parametrize(("projection", "how"), WRONG, ids=lambda one: getattr(one, "__name__", ""))
def test_a_wrong_projection_is_found_and_its_scenario_finds_it_again(projection, how):
    found = found_in(projection)

    assert any(one in found.finding for one in how.split("|")), found.finding
    with pytest.raises((AssertionError, ProjectionFailed)) as again:
        exec(found.source, {})
    assert last_line(str(again.value)) == last_line(found.finding)


@pytest.mark.parametrize("projection", [unsteady.Right, unsteady.RightSql, unsteady.NeedsAdded])
def test_a_right_projection_passes(projection):
    properties(projection, seed=SEED)
