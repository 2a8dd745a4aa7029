"""The log folded again for some keys, up to an exact position."""

from __future__ import annotations

import msgspec
import pytest
from banking import Balance, Deposited

from diptych.errors import CheckpointMoved, LogRestored, ProjectionFailed
from diptych.events.log import Append, EventToStore, StreamAppend
from diptych.operations.drift.refold import Refold
from diptych.queries.parked import Parked
from diptych.queries.read_store import Row


def parked(key: str, position: int, **facts) -> Parked:
    return Parked(key, position, f"Account-{key}", "Deposited", **facts)


def refold_of(bank, wanted=None) -> Refold:
    return Refold(bank.ground, bank.plan, bank.store, wanted)


async def test_it_stands_exactly_where_it_was_told_and_goes_on_from_there(bank):
    await bank.deposit(a=1, b=2)
    await bank.deposit(a=10)
    refold = refold_of(bank)
    await refold.advance(2)
    assert refold.rows == {"a": Row("a", 1, Balance("a", 1)), "b": Row("b", 2, Balance("b", 2))}
    await refold.advance(3)
    assert refold.rows["a"] == Row("a", 3, Balance("a", 11))
    assert refold.rows == await bank.rows()


async def test_only_the_wanted_keys_are_folded(bank):
    await bank.deposit(a=1, b=2, c=3)
    refold = refold_of(bank, {"b", "c"}.__contains__)
    await refold.advance(3)
    assert sorted(refold.rows) == ["b", "c"]
    refold.narrow({"c"}.__contains__)
    await bank.deposit(b=1)
    await refold.advance(4)
    assert sorted(refold.rows) == ["c"]


async def test_what_is_parked_has_no_effect(bank):
    await bank.deposit(a=1, b=2)
    await bank.deposit(a=10)
    await bank.change(parked=[parked("a", 3)])
    refold = refold_of(bank)
    await refold.advance(3)
    assert refold.rows["a"] == Row("a", 1, Balance("a", 1))
    assert not refold.disturbed


@pytest.mark.parametrize("by_stream", [False, True])
async def test_a_row_is_spoiled_when_what_it_left_out_was_retried_since(bank, by_stream):
    await bank.deposit(a=1, b=2)
    entry = parked("a", 1, by_stream=by_stream)
    await bank.change(parked=[entry])
    refold = refold_of(bank)
    await refold.advance(2)
    assert not refold.spoiled("a")
    await bank.change(unparked=[entry])
    await refold.advance(2)
    assert refold.spoiled("a")
    assert refold.spoiled("b") == by_stream  # nobody knows which rows an event of a stream touches


async def test_what_is_parked_after_its_position_spoils_nothing(bank):
    await bank.deposit(a=1)
    refold = refold_of(bank)
    await refold.advance(1)
    await bank.deposit(a=10)
    await bank.change(parked=[parked("a", 2)])
    await refold.advance(2)
    assert refold.rows["a"].value == Balance("a", 1)
    assert not refold.disturbed


async def test_what_is_parked_where_it_has_not_come_to_yet_spoils_nothing(bank):
    await bank.deposit(a=1, b=2)
    await bank.deposit(a=10)
    await bank.change(parked=[parked("a", 3)])
    refold = refold_of(bank)
    await refold.advance(2)
    await refold.advance(3)
    assert refold.rows["a"].value == Balance("a", 1)
    assert not refold.disturbed


async def append_unreadable(bank) -> None:
    event = EventToStore("Deposited", 1, b'{"account_id": 7}', b'{"id": "1"}')
    await bank.app.log.append(Append((StreamAppend("Account-z", 0, (event,)),)))


async def test_an_event_that_cannot_be_decoded_is_passed_over_only_if_it_is_parked(bank):
    await bank.deposit(a=1)
    await append_unreadable(bank)
    data = msgspec.json.encode(Deposited("a", 10))
    event = EventToStore("Deposited", 1, data, b'{"id": "2"}')
    await bank.app.log.append(Append((StreamAppend("Account-y", 0, (event,)),)))
    with pytest.raises(ProjectionFailed, match="position 2"):
        await refold_of(bank).advance(3)
    await bank.store.reset(bank.plan.table)
    await bank.change(parked=[Parked("Account-z", 2, "Account-z", "Deposited", by_stream=True)])
    refold = refold_of(bank)
    await refold.advance(3)
    assert refold.rows == {"a": Row("a", 3, Balance("a", 11))}


async def test_a_checkpoint_that_went_back_is_noticed(bank):
    await bank.deposit(a=1, b=2)
    refold = refold_of(bank)
    await refold.advance(2)
    with pytest.raises(CheckpointMoved, match="stood at position 2 and now stands at 1") as caught:
        await refold.advance(1)
    assert (caught.value.expected, caught.value.actual) == (2, 1)


async def test_a_log_that_ends_before_the_checkpoint_is_noticed(bank):
    await bank.deposit(a=1)
    with pytest.raises(LogRestored, match="has seen position 9, but the log ends at 1"):
        await refold_of(bank).advance(9)
