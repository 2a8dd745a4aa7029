"""Retry: in order within a key, from the row as it stands, all or nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from poison import (
    BAD,
    PARTS,
    Histories,
    Moved,
    Noted,
    lanes_of,
    note,
    numbers_of,
    record,
    to_store,
)

from diptych import App, Projection, ReadModel
from diptych.environment import Environment
from diptych.errors import StoreUnavailable
from diptych.queries.parked import Parked
from diptych.queries.read_store import Change
from diptych.testing import for_each_seed


async def test_a_key_is_retried_in_order_and_ends_where_a_plain_fold_would(app, fold):
    BAD.add(2)
    await note(app, ("a", 1), ("a", 2), ("b", 1), ("a", 3), ("a", 4))
    await fold()
    assert await numbers_of(app, "a") == [1]
    assert await lanes_of(app) == {"a": [(2, "failed"), (4, "follows"), (5, "follows")]}
    BAD.clear()
    (done,) = await app.parked.retry("histories", "a")
    assert (done.folded, done.left, done.failed_at) == (3, 0, None)
    assert await numbers_of(app, "a") == [1, 2, 3, 4]
    assert await lanes_of(app) == {}
    assert (await app.verify()).ok


async def test_a_retry_stops_at_the_first_event_that_fails_again_and_counts_it(app, fold):
    BAD.update({2, 4})
    await note(app, ("a", 1), ("a", 2), ("a", 3), ("a", 4), ("a", 5))
    await fold()
    BAD.remove(2)
    parked = app.parked
    for attempts in (1, 2):
        (done,) = await parked.retry()
        assert (done.failed_at, done.left) == (4, 2)
        (waiting,) = await parked.entries("histories")
        assert (waiting.position, waiting.attempts) == (4, attempts)
        assert "4 is bad" in waiting.error
        assert "ValueError" in waiting.trace
        assert [one.position for one in waiting.followers] == [5]
    assert await numbers_of(app, "a") == [1, 2, 3]


async def test_a_dry_run_says_what_would_happen_and_writes_nothing_and_takes_no_lease(app, fold):
    BAD.update({2, 9})
    await note(app, ("a", 2), ("a", 3), ("b", 9))
    await fold()
    BAD.remove(2)
    source = app.sources[Histories]
    before = await lanes_of(app), await source.store.checkpoint("histories")
    found = {one.key: one for one in await app.parked.retry(dry_run=True)}
    assert (found["a"].folded, found["a"].left) == (2, 0)
    assert found["b"].failed_at == 3
    assert (await lanes_of(app), await source.store.checkpoint("histories")) == before
    assert await numbers_of(app, "a") is None


async def test_one_group_is_retried_and_the_others_wait_on(app, fold):
    BAD.update({2, 3})
    await note(app, ("a", 2), ("b", 2), ("c", 3), ("a", 5))
    await fold()
    parked = app.parked
    groups = {
        one.error: (one.keys, one.events, one.first, one.last) for one in await parked.groups()
    }
    assert groups == {"ValueError: 2 is bad": (2, 3, 1, 4), "ValueError: 3 is bad": (1, 1, 3, 3)}
    BAD.clear()
    done = await parked.retry("histories", error="ValueError: 2 is bad")
    assert sorted(one.key for one in done) == ["a", "b"]
    assert await lanes_of(app) == {"c": [(3, "failed")]}


async def test_an_event_of_two_keys_that_failed_for_one_is_retried_for_that_one(app, fold):
    BAD.add(5)
    await record(app, "Transfer-1", Moved("a", "b", 5))
    await note(app, ("a", 1), ("b", 2))
    await fold()
    assert await numbers_of(app, "a") == [5, 1]
    assert await lanes_of(app) == {"b": [(1, "failed"), (3, "follows")]}
    BAD.clear()
    await app.parked.retry()
    assert await numbers_of(app, "a") == [5, 1]
    assert await numbers_of(app, "b") == [5, 2]
    assert (await app.verify()).ok


async def test_a_stream_that_can_be_read_now_gives_its_events_to_keys_that_may_wait_themselves(
    app, fold
):
    BAD.add(4)
    bad = to_store(Noted("a", 1))._replace(data=b'{"account_id":"a","number":"one"}')
    await record(app, "Account-a", bad, Moved("a", "b", 3))
    await note(app, ("b", 4))
    await fold()
    assert await lanes_of(app) == {
        "Account-a": [(1, "failed"), (2, "follows")],
        "b": [(3, "failed")],
    }
    parked = app.parked
    done = await parked.skip("histories", "Account-a", 1, reason="no number", actor="ann")
    assert done.followers.folded == 1
    assert await numbers_of(app, "a") == [3]
    assert (await lanes_of(app))["b"] == [(2, "follows"), (3, "failed")]
    BAD.clear()
    await parked.retry()
    assert await numbers_of(app, "b") == [3, 4]
    assert await lanes_of(app) == {"Account-a": [(1, "skipped")]}


async def test_an_event_whose_type_is_not_wanted_any_more_just_goes():
    app = await App("poisoned", [*LATER_RELEASE]).open(projections=False)
    store = app.sources[Numbers].store
    await record(app, "Transfer-1", Moved("a", "b", 5))
    await note(app, ("b", 6))
    waiting = [
        Parked("b", 1, "Transfer-1", "Moved", error="ValueError: 5"),
        Parked("b", 2, "Account-b", "Noted", because="follows"),
    ]
    await store.apply([Change("numbers", 0, 2, parked=waiting)])
    (done,) = await app.parked.retry("numbers")
    assert (done.gone, done.folded, done.left) == (1, 1, 0)
    assert (await store.load("numbers", ["b"])).rows["b"].value.numbers == [6]
    assert await lanes_of(app, Numbers) == {}
    await app.close()


async def test_an_event_that_names_other_keys_now_waits_on_rather_than_being_folded_twice(
    app, fold
):
    await note(app, ("b", 6))
    entry = Parked("a", 1, "Account-b", "Noted", error="ValueError: 6")
    await app.sources[Histories].store.apply([Change("histories", 0, 1, parked=[entry])])
    (done,) = await app.parked.retry()
    assert (done.failed_at, done.left) == (1, 1)
    assert "touches 'b' now, and no longer 'a': rebuild histories" in done.error
    assert await numbers_of(app, "b") is None


class Numbered(ReadModel, key="account_id"):
    account_id: str
    numbers: list[int] = []


class Numbers(Projection[Numbered]):
    """Wants fewer types than what was parked for it."""

    def noted(self, row: Numbered, event: Noted) -> None:
        row.numbers.append(event.number)


class Movement(ReadModel, key="source"):
    source: str


class Movements(Projection[Movement]):
    def moved(self, row: Movement, event: Moved) -> None: ...


LATER_RELEASE = [Numbers, Movements]


class Refusing:
    """A store that cannot keep a number in any row, and says so of no row in particular."""

    def __init__(self, store: Any, number: int) -> None:
        self.refused = 0
        self._apply = store.apply
        self.number: int | None = number
        store.apply = self.apply

    async def apply(self, changes: Any) -> None:
        for change in changes:
            for row in change.rows:
                if self.number in row.value.numbers:
                    self.refused += 1
                    raise ValueError(f"cannot keep {self.number}")
        await self._apply(changes)


async def test_what_the_store_cannot_keep_is_found_event_by_event_and_nothing_else_waits(app, fold):
    BAD.update({1, 2})
    await note(app, ("a", 1), ("a", 2), ("a", 3), ("b", 2), ("c", 2))
    await fold()
    BAD.clear()
    store = Refusing(app.sources[Histories].store, 3)
    done = {one.key: one for one in await app.parked.retry()}
    assert store.refused > 1
    assert (done["a"].folded, done["a"].left, done["a"].failed_at) == (2, 1, 3)
    assert done["b"].folded == done["c"].folded == 1
    assert await numbers_of(app, "a") == [1, 2]
    assert await lanes_of(app) == {"a": [(3, "failed")]}
    (waiting,) = await app.parked.entries("histories", "a")
    assert "cannot keep 3" in waiting.error
    store.number = None
    await app.parked.retry()
    assert await numbers_of(app, "a") == [1, 2, 3]


async def test_a_failure_that_cannot_even_be_noted_is_raised(app, fold):
    BAD.add(2)
    await note(app, ("a", 2))
    await fold()

    async def apply(changes: Any) -> None:
        raise ValueError("nothing can be written")

    app.sources[Histories].store.apply = apply
    with pytest.raises(ValueError, match="nothing can be written"):
        await app.parked.retry()


async def test_a_retry_that_the_store_interrupts_has_changed_nothing_and_may_be_repeated(app, fold):
    BAD.add(2)
    await note(app, ("a", 2), ("a", 3))
    await fold()
    BAD.clear()
    store = app.sources[Histories].store
    own = store.apply

    async def apply(changes: Any) -> None:
        raise StoreUnavailable("away")

    store.apply = apply
    with pytest.raises(StoreUnavailable):
        await app.parked.retry()
    store.apply = own
    assert await lanes_of(app) == {"a": [(1, "failed"), (2, "follows")]}
    await app.parked.retry()
    assert await numbers_of(app, "a") == [2, 3]


async def test_who_was_overtaken_by_another_operator_writes_nothing_of_what_it_had_folded(
    app, fold
):
    BAD.add(2)
    await note(app, ("a", 1), ("a", 2), ("a", 3))
    await fold()
    BAD.clear()
    store = app.sources[Histories].store
    own = store.load

    async def load(*arguments: Any) -> Any:
        loaded = await own(*arguments)
        store.load = own
        await app.parked.skip("histories", "a", 2, reason="twice", actor="ann")
        return loaded

    store.load = load
    await app.parked.retry()
    assert await numbers_of(app, "a") == [1, 3]
    assert await lanes_of(app) == {"a": [(2, "skipped")]}


def test_retries_beside_runners_and_writers_end_where_a_plain_fold_would():
    async def main(environment: Environment) -> None:
        BAD.clear()
        BAD.update({3, 14})
        app = await App("poisoned", PARTS, environment=environment).open()
        parked = app.parked

        async def write(account: str) -> None:
            for number in range(20):
                await note(app, (account, number))
                await environment.sleep(environment.random.random() * 0.3)

        async def retry() -> None:
            for turn in range(8):
                await environment.sleep(environment.random.random())
                if turn == 4:
                    BAD.clear()
                await parked.retry()

        await asyncio.gather(write("a"), write("b"), retry(), retry())
        BAD.clear()
        await parked.retry()
        await app.settle(600)
        for account in "ab":
            assert await numbers_of(app, account) == list(range(20))
        assert await lanes_of(app) == {}
        await app.close()

    for_each_seed(main, range(12))
