"""Rows beside the refold."""

from __future__ import annotations

from typing import Any

import pytest
from banking import Balance, Deposit

from diptych import Event, Projection, ReadModel
from diptych.environment import Environment
from diptych.errors import StoreError, StoreUnavailable
from diptych.operations.drift import comparing
from diptych.operations.drift.comparing import compare_keys, compare_rows, look
from diptych.operations.drift.pace import Pace
from diptych.operations.drift.refold import Refold
from diptych.queries.read_store import Row

PACE = Pace(Environment())


class Between:
    """A store in which something happens just after a page was read."""

    def __init__(self, store: Any, happens: Any) -> None:
        self._store = store
        self._happens = happens

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def find(self, *args: Any) -> list[Row]:
        found = await self._store.find(*args)
        await self._happens()
        return found


class Unreadable:
    """A store with rows that cannot be decoded."""

    def __init__(self, store: Any, *keys: str, error: type[StoreError] = StoreError) -> None:
        self._store = store
        self._keys = keys
        self._error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def find(self, *args: Any) -> list[Row]:
        found = await self._store.find(*args)
        self._look_at(row.key for row in found)
        return found

    async def load(self, projection: str, keys: Any) -> Any:
        self._look_at(keys)
        return await self._store.load(projection, keys)

    def _look_at(self, keys: Any) -> None:
        for key in keys:
            if key in self._keys:
                raise self._error(f"the row of {key} is broken")


async def refolded(bank, store=None) -> Refold:
    refold = Refold(bank.ground, bank.plan, store or bank.store)
    await refold.advance(await bank.checkpoint())
    return refold


async def doubts(bank, store=None) -> list[str]:
    return (await compare_rows(await refolded(bank, store), None, PACE)).doubts


async def test_rows_that_are_what_the_log_says_are_not_in_doubt(bank):
    await bank.deposit(a=1, b=2, c=3)
    assert await compare_rows(await refolded(bank), None, PACE) == (3, [])


@pytest.mark.parametrize(
    "facts",
    [
        {"rows": [Row("b", 2, Balance("b", 77))]},
        {"rows": [Row("b", 1, Balance("b", 2))]},
        {"deleted": ["b"]},
    ],
    ids=["changed", "position", "deleted"],
)
async def test_a_row_that_was_changed_is_in_doubt(bank, facts):
    await bank.deposit(a=1, b=2, c=3)
    await bank.change(**facts)
    assert await doubts(bank) == ["b"]


async def test_a_row_that_was_added_is_in_doubt(bank):
    await bank.deposit(a=1)
    await bank.change(rows=[Row("nobody", 1, Balance("nobody", 5))])
    assert await compare_rows(await refolded(bank), None, PACE) == (2, ["nobody"])


async def test_rows_that_move_while_they_are_read_are_not_in_doubt(bank, monkeypatch):
    monkeypatch.setattr(comparing, "PAGE", 2)
    await bank.deposit(b=1, c=2, f=3)
    moves = iter([{"a": 1, "b": 10, "e": 5}, {"c": 10, "g": 1}])

    async def happens() -> None:
        await bank.deposit(**next(moves, {}))

    found = await compare_rows(await refolded(bank, Between(bank.store, happens)), None, PACE)
    assert found.doubts == []
    assert found.rows == 6


async def test_a_row_that_moves_and_is_wrong_is_in_doubt_all_the_same(bank):
    await bank.deposit(b=1, c=2)
    await bank.change(rows=[Row("b", 1, Balance("b", 7))])

    async def happens() -> None:
        await bank.app.dispatch(Deposit("b", 1))
        await bank.app.settle()

    assert await doubts(bank, Between(bank.store, happens)) == ["b"]


async def test_a_row_that_cannot_be_read_is_in_doubt_and_the_others_are_compared(bank, monkeypatch):
    monkeypatch.setattr(comparing, "PAGE", 4)
    await bank.deposit(**dict.fromkeys("abcdefgh", 1))
    await bank.change(deleted=["b"], rows=[Row("h", 8, Balance("h", 9))])
    store = Unreadable(bank.store, "c", "d", "g")
    assert sorted(await doubts(bank, store)) == ["b", "c", "d", "g", "h"]
    looked = await look(await refolded(bank, store), ["a", "c"])
    assert [(one.key, one.kept.value) for one in looked.doubts] == [("c", "the row of c is broken")]


async def test_a_row_that_cannot_be_read_and_that_nobody_expects_is_an_error(bank):
    await bank.deposit(a=1)
    await bank.change(rows=[Row("x", 1, Balance("x"))])
    with pytest.raises(StoreError, match="the row of x is broken"):
        await doubts(bank, Unreadable(bank.store, "x"))


async def test_a_store_that_is_away_says_nothing_about_its_rows(bank):
    await bank.deposit(a=1)
    with pytest.raises(StoreUnavailable):
        await doubts(bank, Unreadable(bank.store, "a", error=StoreUnavailable))


async def test_keys_are_compared_whether_there_are_rows_or_not(bank):
    await bank.deposit(a=1, b=2, c=3)
    await bank.change(deleted=["b"], rows=[Row("nobody", 1, Balance("nobody"))])
    found = await compare_keys(await refolded(bank), ["a", "b", "d", "nobody"], PACE)
    assert found == (2, ["b", "nobody"])


class Seen(Event):
    name: str


class Sight(ReadModel, key="name"):
    name: str
    pairs: list[list[int]] = []
    average: float = 0.0


class Sights(Projection[Sight]):
    def seen(self, row: Sight, event: Seen) -> None:
        row.pairs.append((1, 2))  # becomes a list in every store
        row.average = 3


async def test_what_reading_and_writing_makes_of_a_value_is_no_difference(bank_of):
    from diptych import App
    from diptych.events.log import Append, EventToStore, StreamAppend

    async with App("sights", [Sights]) as app:
        app.parts.registry.add(Seen)
        event = EventToStore("Seen", 1, b'{"name": "a"}', b'{"id": "1"}')
        await app.log.append(Append((StreamAppend("x", 0, (event,)),)))
        await app.settle()
        assert (await app.verify()).ok
