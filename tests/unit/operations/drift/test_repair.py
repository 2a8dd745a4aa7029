"""Only what is wrong is written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from banking import BANK, Balance, Balances, Deposit

from diptych import App
from diptych.errors import CheckpointMoved, ConfigurationError
from diptych.operations.drift.repair import repair
from diptych.queries.parked import Parked
from diptych.queries.read_store import Row


class Recording:
    """A store that remembers what was applied to it; `before` is done before each load."""

    def __init__(self, store: Any, before: Any = None) -> None:
        self.applied: list[Any] = []
        self._store = store
        self._before = before

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def load(self, projection: str, keys: Any) -> Any:
        loaded = await self._store.load(projection, keys)
        if self._before is not None:
            await self._before()
        return loaded

    async def apply(self, changes: Any) -> None:
        await self._store.apply(changes)
        self.applied += changes


@pytest.fixture
async def inline(bank_of) -> AsyncIterator[Any]:
    """A bank whose projection no lease can stop: commands move it."""
    async with App("bank", BANK, inline=[Balances]) as app:
        yield bank_of(app)


async def spoiled(bank) -> None:
    await bank.deposit(a=1, b=2, c=3, d=4)
    wrong = [Row("a", 1, Balance("a", 9)), Row("x", 1, Balance("x", 1)), Row("d", 1, Balance("d"))]
    await bank.change(rows=wrong, deleted=["b"])


async def test_f35_only_the_wrong_rows_are_written_in_one_change_that_moves_no_checkpoint(bank):
    await spoiled(bank)
    store = Recording(bank.store)
    done = await repair(bank.ground, bank.plan, store, ["x", "a", "b", "c", "nobody"])
    assert (done.position, done.written, done.deleted, done.ok) == (4, ("a", "b"), ("x",), True)
    (change,) = store.applied
    assert (change.after, change.upto, change.deleted) == (4, 4, ["x"])
    assert change.rows == [Row("a", 1, Balance("a", 1)), Row("b", 2, Balance("b", 2))]
    lease = (await bank.store.checkpoint("balances")).lease
    assert change.epoch is not None
    assert lease.epoch > change.epoch  # held meanwhile, and let go
    found = await bank.drift.verify()
    assert [one.key for one in found.differences] == ["d"]  # not asked for, not touched


async def test_nothing_is_written_where_nothing_is_wrong(bank):
    await bank.deposit(a=1)
    store = Recording(bank.store)
    done = await repair(bank.ground, bank.plan, store, ["a"])
    assert (done.written, done.deleted, store.applied) == ((), (), [])


async def test_a_dry_run_says_what_would_be_written_and_writes_nothing(bank):
    await spoiled(bank)
    before = await bank.rows()
    done = await bank.drift.repair("balances", ["a", "b", "x"], dry_run=True)
    assert (done.dry_run, done.written, done.deleted) == (True, ("a", "b"), ("x",))
    assert [one.expected for one in done.differences] == [Balance("a", 1), Balance("b", 2), None]
    assert await bank.rows() == before


async def test_what_is_parked_stays_left_out_of_a_repaired_row(bank):
    await bank.deposit(a=1)
    await bank.deposit(a=10)
    entry = Parked("a", 2, "Account-a", "Deposited")
    await bank.change(parked=[entry], rows=[Row("a", 2, Balance("a", 99))])
    await bank.drift.repair("balances", ["a"])
    assert await bank.rows() == {"a": Row("a", 1, Balance("a", 1))}
    assert await bank.store.parked("balances") == [entry]


async def test_rows_of_a_tenant_are_made_anew(bank):
    await bank.app.dispatch(Deposit("a", 1), tenant="red")
    await bank.app.dispatch(Deposit("b", 2), tenant="blue")
    await bank.app.settle()
    await bank.change(deleted=["a", "b"])
    done = await bank.drift.repair("balances", tenant="red")
    assert done.written == ("a",)
    assert list(await bank.rows()) == ["a"]


async def test_an_inline_one_that_moves_before_the_write_is_folded_and_tried_again(inline):
    bank = inline
    await spoiled(bank)
    moves = iter([{"a": 10}, {"b": 10, "c": 1}])

    async def before() -> None:
        for account, amount in next(moves, {}).items():
            await bank.app.dispatch(Deposit(account, amount))

    store = Recording(bank.store, before)
    done = await repair(bank.ground, bank.plan, store, ["a", "b", "x"])
    assert done.ok
    assert (await bank.rows())["a"] == Row("a", 5, Balance("a", 11))
    assert (await bank.rows())["b"] == Row("b", 6, Balance("b", 12))


async def test_an_inline_one_that_never_stands_still_is_left_as_it_is(inline):
    bank = inline
    await spoiled(bank)

    async def before() -> None:
        await bank.app.dispatch(Deposit("c", 1))

    store = Recording(bank.store, before)
    with pytest.raises(CheckpointMoved):
        await repair(bank.ground, bank.plan, store, ["x"])
    assert store.applied == []


async def test_what_was_retried_between_reading_the_log_and_the_lease_is_folded_afresh(bank):
    await bank.deposit(a=1, b=1)
    await bank.deposit(a=10)
    entry = Parked("a", 3, "Account-a", "Deposited")
    await bank.change(parked=[entry], rows=[Row("a", 1, Balance("a", 1))])
    await bank.change(deleted=["b"])
    retries = iter([True])

    class Retrying(Recording):
        async def swap_leases(self, swaps: Any) -> Any:
            if next(retries, False):
                await bank.change(rows=[Row("a", 3, Balance("a", 11))], unparked=[entry])
            return await bank.store.swap_leases(swaps)

    store = Retrying(bank.store)
    done = await repair(bank.ground, bank.plan, store, ["a", "b"])
    assert (done.written, done.ok) == (("b",), True)
    assert (await bank.rows())["a"] == Row("a", 3, Balance("a", 11))


async def test_a_projection_that_was_reset_meanwhile_is_folded_afresh(bank):
    await spoiled(bank)
    resets = iter([True])

    async def before() -> None:
        if next(resets, False):
            await bank.store.reset(bank.plan.table)

    await bank.app.close()  # nobody folds it again
    await bank.app.open(projections=False)
    await bank.change(rows=[Row("x", 1, Balance("x", 1))])
    done = await repair(bank.ground, bank.plan, Recording(bank.store, before), ["x"])
    assert done.ok
    assert await bank.rows() == {}


@pytest.mark.parametrize("dry_run", [False, True])
async def test_rows_of_another_version_are_not_mixed_with_those_of_this_one(bank, dry_run):
    await spoiled(bank)
    table = msgspec.structs.replace(bank.plan.table, fingerprint="newer")
    newer, before = bank.plan._replace(table=table), await bank.rows()
    with pytest.raises(ConfigurationError, match="projections rebuild balances"):
        await repair(bank.ground, newer, bank.store, ["a"], dry_run=dry_run)
    assert await bank.rows() == before
