"""What led to what."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from banking import BANK, Deposit, Transfer

from diptych import App
from diptych.errors import ConfigurationError
from diptych.events.log import Append, EventToStore, StreamAppend
from diptych.messages.envelope import Metadata
from diptych.operations.trail.tree import CauseTree


@pytest.fixture
async def app():
    async with App("bank", BANK) as app:
        yield app


async def told(app: App, *events: tuple[str, str | None, str | None]) -> None:
    """Record events, each given as (event id, correlation id, causation id)."""
    data = msgspec.json.encode({"account_id": "a", "amount": 1})
    stored = tuple(
        EventToStore("Deposited", 1, data, msgspec.json.encode(Metadata(*one))) for one in events
    )
    await app.log.append(Append((StreamAppend("Account-a", -1, stored),)))


def drawn(tree: CauseTree) -> list[str]:
    """Every node, indented: an event by its position, all others by kind and id."""
    return [
        "  " * depth + (str(node.record.position) if node.record else f"{node.kind} {node.id}")
        for depth, node in tree.walk()
    ]


async def test_a_conversation_is_a_tree_of_causes_and_effects(app):
    first = await app.dispatch(Deposit("a", 10), id="form-7")
    [one] = [one async for one in app.trail.history()]
    await app.dispatch(
        Transfer("a", "b", 3), correlation_id=one.correlation_id, causation_id=one.event_id
    )
    await app.dispatch(Deposit("c", 1))  # another conversation
    expected = ["command form-7", "  1", "    2", "    3"]
    trail = app.trail
    assert first.token.position == 1
    assert drawn(await trail.tree(correlation_id="form-7")) == expected
    for position in (1, 2, 3):
        assert drawn(await trail.tree(position=position)) == expected
    assert drawn(await trail.tree(event_id=one.event_id)) == expected
    assert (await trail.tree(position=4)).events == 1


async def test_a_tree_crosses_correlation_ids_in_both_directions(app):
    # `b` began a conversation of its own (named by its cause, as dispatch does), and `c` another.
    await told(app, ("a", "x", "x"), ("b", "a", "a"), ("z", "z", "z"), ("c", "y", "b"))
    expected = ["command x", "  1", "    2", "      4"]
    for wanted in ({"correlation_id": "y"}, {"event_id": "a"}, {"position": 2}):
        assert drawn(await app.trail.tree(**wanted)) == expected


async def test_what_was_recorded_before_a_correlation_id_became_known_is_found(app):
    await told(app, ("p", "y", None), ("a", "x", "x"), ("b", "y", "a"))
    tree = await app.trail.tree(correlation_id="x")
    assert drawn(tree) == ["1", "command x", "  2", "    3"]


async def test_a_missing_cause_is_marked_as_a_gap(app):
    await told(app, ("a", "x", "x"), ("b", "x", "lost"), ("c", "x", "b"), ("d", "x", "lost"))
    assert drawn(await app.trail.tree(correlation_id="x")) == [
        "command x",
        "  1",
        "gap lost",
        "  2",
        "    3",
        "  4",
    ]


async def test_a_command_whose_answer_is_recorded_is_no_gap(app):
    await app.dispatch(Deposit("a", 1), id="job-1", correlation_id="x")
    await app.dispatch(Deposit("a", 1), correlation_id="x")
    kinds = [node.kind for _, node in (await app.trail.tree(correlation_id="x")).walk()]
    assert kinds == ["command", "event", "gap", "event"]


async def test_an_event_without_a_cause_is_a_root(app):
    await told(app, ("a", "x", None))
    assert drawn(await app.trail.tree(correlation_id="x")) == ["1"]


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([("a", "x", "a")], ["circle a", "  1"]),
        ([("a", "x", "b"), ("b", "x", "a")], ["circle b", "  1", "    2"]),
        (
            [("t", "x", "b"), ("a", "x", "c"), ("b", "x", "a"), ("c", "x", "b"), ("u", "x", "t")],
            ["circle c", "  2", "    3", "      1", "        5", "      4"],
        ),
        # Two events of one id: whoever names it is an effect of the first.
        ([("a", "x", "x"), ("a", "x", "a")], ["command x", "  1", "    2"]),
    ],
)
async def test_circles_are_cut_and_hang_nothing(app, events: Any, expected: list[str]):
    await told(app, *events)
    tree = await app.trail.tree(correlation_id="x")
    assert drawn(tree) == expected
    assert tree.events == len(events)


async def test_a_chain_of_ten_thousand_causes_is_walked(app):
    await told(app, *((str(n), "x", str(n - 1)) for n in range(1, 10_001)))
    tree = await app.trail.tree(correlation_id="x")
    assert max(depth for depth, _ in tree.walk()) == 10_000
    assert tree.complete


async def test_a_tree_has_no_more_events_than_asked_for(app):
    await told(app, *((str(n), "x", "x") for n in range(1, 21)))
    tree = await app.trail.tree(correlation_id="x", limit=7)
    assert (tree.events, tree.complete) == (7, False)
    assert drawn(tree)[-1] == "  7"
    assert (await app.trail.tree(correlation_id="x", limit=20)).complete


async def test_genesis_leads_to_no_other_genesis(app):
    await told(app, ("a", "genesis", "genesis"), ("b", "genesis", "genesis"), ("c", "a", "a"))
    trail = app.trail
    assert (await trail.tree(position=1)).events == 2
    assert (await trail.tree(event_id="b")).events == 1
    assert (await trail.tree(correlation_id="genesis")).events == 3


async def test_what_nobody_knows_is_an_empty_tree(app):
    await told(app, ("a", "x", "x"))
    trail = app.trail
    for wanted in ({"correlation_id": "?"}, {"event_id": "?"}, {"position": 2}, {"position": 0}):
        assert await trail.tree(**wanted) == CauseTree([], 0)


@pytest.mark.parametrize("wanted", [{}, {"position": 1, "event_id": "a"}])
async def test_a_tree_grows_from_one_thing(app, wanted):
    with pytest.raises(ConfigurationError):
        await app.trail.tree(**wanted)


async def test_the_log_is_read_once_for_a_conversation_of_its_own(app):
    await told(app, *((str(n), "x", "x") for n in range(1, 3_001)))
    seen: list[int] = []
    await app.trail.tree(correlation_id="x", progress=lambda at, _: seen.append(at))
    assert seen == [1_000, 2_000, 3_000]
