"""What every projection keeps to, and that nothing that does not is let through."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import random
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diptych import Event, Projection, ReadModel
from diptych.errors import ConfigurationError, ProjectionFailed
from diptych.queries.projection import plan_of
from diptych.testing import properties, recorded, scenario
from diptych.testing.properties import UnsteadyProjection
from diptych.testing.recording import envelopes_of
from diptych.testing.source import scenario_source
from diptych.testing.steadiness import orders_of
from diptych.testing.values import Values
from diptych_examples.bank.bank import Balances
from diptych_examples.shop import queries

sys.path.insert(0, str(Path(__file__).parent))

import unsteady

SEED = 7


class Tree(Event):
    name: str
    branches: list[Tree] = []


class Opaque(Event):
    name: str
    inner: msgspec.Raw


class Named(ReadModel, key="name"):
    name: str
    count: int = 0


class Trees(Projection[Named]):
    def grown(self, named: Named, event: Tree) -> None:
        named.count += len(event.branches)


class Opaques(Projection[Named]):
    def seen(self, named: Named, event: Opaque) -> None:
        named.count += 1


def projections_of(package) -> list[type]:
    """All projections that the modules of a package define."""
    modules = [
        importlib.import_module(f"{package.__name__}.{one.name}")
        for one in pkgutil.iter_modules(package.__path__)
    ]
    return [
        cls
        for module in modules
        for _, cls in inspect.getmembers(module, inspect.isclass)
        if issubclass(cls, Projection) and cls.__module__ == module.__name__
    ]


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
    (unsteady.SharesADefault, "in batches|in another process"),
    (unsteady.LooksAtTheRowBefore, "in batches|in another process"),
    (unsteady.DependsOnOtherKeys, "restarted|other keys"),
    (unsteady.CountsWhatCameBefore, "same order for each key"),
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
    properties(projection, seed=SEED, examples=40)


@pytest.mark.parametrize("projection", [Balances, *projections_of(queries)])
def test_the_projections_of_the_examples_pass(projection):
    properties(projection, examples=40)


def test_a_failing_history_is_short():
    found = found_in(unsteady.CountsInTheObject)
    assert found.source.endswith(
        "scenario(CountsInTheObject).given(Added(cart_id='a', item='a')).then_steady()"
    )


def test_what_fails_only_once_is_found_all_the_same():
    unsteady.met.clear()
    found = found_in(unsteady.RemembersInTheModule)
    assert "other rows" in found.finding
    assert "did not fail again in this process" in found.__notes__[0]


def test_the_seed_finds_the_same_again_and_is_printed():
    first, again = found_in(unsteady.WrongUpsert), found_in(unsteady.WrongUpsert)
    assert str(first) == str(again)
    assert str(first).endswith(f"Found with seed={SEED}.")


def test_without_a_seed_one_is_chosen_and_told():
    with pytest.raises(UnsteadyProjection) as failed:
        properties(unsteady.WrongUpsert)
    with pytest.raises(UnsteadyProjection) as again:
        properties(unsteady.WrongUpsert, seed=failed.value.seed)
    assert str(again.value) == str(failed.value)


def test_raising_is_a_finding_only_where_it_must_not_be():
    properties(unsteady.NeedsAdded, seed=SEED)
    found = found_in(unsteady.NeedsAdded, may_raise=False)
    assert "LookupError('a')" in found.finding
    with pytest.raises(ProjectionFailed) as again:
        exec(found.source, {})
    assert str(again.value) == found.finding


def added_first(events):
    """Leaves out what happens to a cart before the first item lies in it."""
    there = set()
    for event in events:
        if isinstance(event, unsteady.Added):
            there.add(event.cart_id)
        elif event.cart_id not in there:
            continue
        else:
            there.discard(event.cart_id)
        yield event


def test_a_function_says_which_histories_are_possible():
    properties(unsteady.NeedsAdded, may_raise=False, histories=added_first, seed=SEED)


def test_a_strategy_says_which_histories_are_possible():
    history = st.lists(st.just(unsteady.Added("a", "b")), min_size=2, max_size=2)
    properties(unsteady.NeedsAdded, may_raise=False, histories=history, seed=SEED)
    found = found_in(unsteady.WrongUpsert, histories=history)
    assert found.source.count("cart_id='a'") == 2


def test_events_can_be_given_a_strategy():
    drawn = st.builds(unsteady.Added, st.just("mine"), st.just("all mine"))
    found = found_in(unsteady.WrongUpsert, events={unsteady.Added: drawn})
    assert "Added(cart_id='mine', item='all mine')" in found.source


def test_a_strategy_for_an_event_that_is_not_folded_is_refused():
    with pytest.raises(ConfigurationError, match=r"does not fold Cleared; it folds Added"):
        properties(unsteady.WrongUpsert, events={unsteady.Cleared: st.none()})


def test_an_event_that_always_raises_is_told_not_passed_over():
    with pytest.raises(AssertionError, match=r"raised each time on events of Cleared"):
        properties(unsteady.AlwaysRaises, seed=SEED)


def test_histories_without_an_event_are_told_not_passed_over():
    with pytest.raises(AssertionError, match=r"no history held an event"):
        properties(unsteady.Right, histories=st.just([]), seed=SEED)


def test_what_is_no_projection_is_refused():
    with pytest.raises(ConfigurationError, match=r"is no projection"):
        properties(unsteady.Page)


def test_another_process_can_be_insisted_on():
    class Local(Projection[unsteady.Page]):
        def added(self, page: unsteady.Page, event: unsteady.Added) -> None:
            page.count += 1

    properties(Local, seed=SEED, examples=5)
    with pytest.raises(ConfigurationError, match=r"cannot be loaded in another process"):
        properties(Local, seed=SEED, another_process=True)


def test_another_process_can_be_done_without():
    properties(unsteady.UsesHash, seed=SEED, another_process=False)


def test_a_class_within_a_function_is_said_to_be_there():
    class Local(Projection[unsteady.Page]):
        def added(self, page: unsteady.Page, event: unsteady.Added) -> None:
            page.number = random.random()

    found = found_in(Local)
    assert (
        "# Local is defined in test_a_class_within_a_function_is_said_to_be_there" in found.source
    )
    with pytest.raises(AssertionError, match=r"in batches"):
        exec(found.source, {"Local": Local})


def test_hypothesis_is_asked_for_by_the_name_of_the_extra(monkeypatch):
    for name in ("trying", "histories", "values"):
        monkeypatch.delitem(sys.modules, f"diptych.testing.{name}", raising=False)
        monkeypatch.delattr(f"diptych.testing.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(ConfigurationError, match=r"diptych\[testing\]"):
        properties(unsteady.Right)


def test_keys_are_met_again_and_every_kind_of_value_occurs():
    seen = []

    def note(events):
        seen.append(list(events))
        return events

    properties(unsteady.Right, histories=note, seed=SEED, another_process=False)

    events = [getattr(one, "event", one) for history in seen for one in history]
    assert {type(one) for one in events} == set(plan_of(unsteady.Right).steps)
    together = [
        history
        for history in seen
        if len(keys := [str(getattr(one, "event", one).cart_id) for one in history])
        > len(set(keys))
    ]
    assert len(together) > len(seen) / 3
    assert any(not one.item.isascii() for one in events if isinstance(one, unsteady.Added))
    whole = [one for one in events if isinstance(one, unsteady.Everything)]
    assert {type(one.either) for one in whole} == {int, str, type(None)}
    assert {one.how for one in whole} == {"air", "sea"}
    assert all(one.words and 1 <= one.part.count <= 9 for one in whole)
    assert {one.color for one in events if isinstance(one, unsteady.Weighed)} == {
        None,
        *unsteady.Color,
    }


@pytest.mark.parametrize("event", plan_of(unsteady.Right).steps, ids=lambda one: one.__name__)
@given(data=st.data())
def test_an_event_written_as_source_is_the_same_event(event, data):
    made = data.draw(Values(frozenset(), {}).of_class(event))
    source = scenario_source(unsteady.Right, [made], "")
    kept = []

    def scenario(projection):
        assert projection is unsteady.Right
        return SimpleNamespace(given=kept.append)

    source = source.replace("from diptych.testing import scenario\n", "")
    exec(source, {"scenario": scenario})
    assert kept == [made]


def test_an_envelope_is_written_as_source():
    at = datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    event = recorded(unsteady.Cleared("a"), at=at, actor="ann")
    source = scenario_source(unsteady.Right, [event], ".then_steady()")
    assert "recorded(Cleared(cart_id='a'), at=datetime.datetime(2026, 1, 2, 0, 0, tzinfo=" in source
    assert "actor='ann')" in source
    exec(source, {})


def test_two_classes_of_one_name_are_told_apart():
    class Other(Event):
        cart_id: str

    Other.__qualname__, Other.__module__ = "Cleared", "elsewhere"
    source = scenario_source(unsteady.Right, [unsteady.Cleared("a"), Other("a")], "")
    assert "from elsewhere import Cleared as Cleared_" in source
    assert "given(Cleared(cart_id='a'), Cleared_(cart_id='a'))" in source


def test_a_tree_of_events_comes_to_an_end():
    properties(Trees, seed=SEED, examples=20, another_process=False)


def test_an_event_of_what_nobody_can_make_up_is_refused_with_advice():
    with pytest.raises(ConfigurationError, match=r"events=\{"):
        properties(Opaques, seed=SEED, another_process=False)


def test_a_steady_scenario_goes_on():
    steady = scenario(unsteady.RightSql).given(unsteady.Added("a", "b")).then_steady()
    steady.then_rows("counted", {"cart": "a", "items": 1, "at": None})
    scenario(unsteady.NeedsAdded).given(unsteady.Added("a", "b")).then_steady().then(
        unsteady.Page("a")
    )


def test_orders_keep_the_order_of_each_key():
    events = [unsteady.Added(key, str(at)) for at, key in enumerate("abacbca")]
    plan = plan_of(unsteady.NeedsAdded)
    orders = list(orders_of(plan, envelopes_of(events)))
    assert len(orders) >= 2
    for order in orders:
        assert sorted(order) == list(range(len(events)))
        for key in "abc":
            own = [at for at in order if events[at].cart_id == key]
            assert own == sorted(own)
