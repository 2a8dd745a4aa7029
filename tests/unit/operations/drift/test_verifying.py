"""All rows, some of them, and more of them than fit into memory."""

from __future__ import annotations

import pytest
from banking import BANK, Account, Balance, Balances, Deposit, Withdraw, Withdrawn

from diptych import App, Environment
from diptych.errors import CheckpointMoved, ConfigurationError
from diptych.operations.drift import refold
from diptych.operations.drift.results import Compared
from diptych.queries.read_store import Row


def keys_in(found) -> list[str]:
    return sorted(one.key for one in found.differences)


async def fill(bank, accounts: int) -> None:
    for number in range(accounts):
        await bank.app.dispatch(Deposit(f"k{number}", number + 1))
    await bank.app.settle()


async def spoil_some(bank) -> list[str]:
    """Change one row, delete one, add one."""
    row = (await bank.store.load(bank.plan.name, ["k3"])).rows["k3"]
    strange = Row("strange", 1, Balance("strange", 1))
    await bank.change(rows=[row._replace(value=Balance("k3", 99)), strange], deleted=["k17"])
    return ["k17", "k3", "strange"]


async def test_nothing_is_different_where_nothing_happened(bank):
    await fill(bank, 20)
    found = await bank.drift.verify()
    assert (found.ok, found.rows, found.events, found.differences) == (True, 20, 20, ())
    assert found.compared == (Compared("balances", 20, 20),)


async def test_f35_exactly_the_wrong_keys_are_named_with_what_was_and_should_be(bank):
    await fill(bank, 20)
    wrong = await spoil_some(bank)
    found = await bank.drift.verify()
    assert not found.ok
    assert keys_in(found) == wrong
    deleted, changed, added = found.differences
    assert (changed.kept, changed.expected) == (Balance("k3", 99), Balance("k3", 4))
    assert (changed.kept_at, changed.expected_at) == (4, 4)
    assert (deleted.kept, deleted.expected) == (None, Balance("k17", 18))
    assert (added.kept, added.expected) == (Balance("strange", 1), None)
    assert found.compared == (Compared("balances", 20, 20, 3),)


async def test_a_projection_that_is_behind_is_compared_where_it_stands(bank_of):
    app = App("bank", BANK)
    await app.open(projections=False)
    bank = bank_of(app)
    await app.dispatch(Deposit("a", 1))
    found = await bank.drift.verify()
    assert (found.ok, found.rows, found.compared[0].position) == (True, 0, 0)
    await app.close()


@pytest.mark.parametrize("most_rows", [1, 7, 50, 99, 100, 1_000])
async def test_what_does_not_fit_into_memory_is_compared_in_portions(bank, most_rows, monkeypatch):
    await fill(bank, 100)
    wrong = await spoil_some(bank)
    largest = 0
    advance = refold.Refold.advance

    async def watched(self, *args):
        nonlocal largest
        await advance(self, *args)
        largest = max(largest, len(self.rows))

    monkeypatch.setattr(refold.Refold, "advance", watched)
    monkeypatch.setattr(refold, "_BATCH", 1)
    done = []
    found = await bank.drift.verify((), lambda *now: done.append(now), most_rows=most_rows)
    assert keys_in(found) == wrong
    assert found.rows == 100
    assert largest <= most_rows
    assert done == sorted(done, key=lambda now: now[0])
    assert done[-1][0] == done[-1][1] >= 100


async def test_rows_that_the_store_has_lost_do_not_make_the_refold_too_large(bank, monkeypatch):
    await fill(bank, 100)
    await bank.change(deleted=[f"k{number}" for number in range(100)])
    monkeypatch.setattr(refold, "_BATCH", 1)
    found = await bank.drift.verify(most_rows=20)
    assert len(found.differences) == 100


async def test_given_keys_only_are_compared(bank):
    await fill(bank, 20)
    await spoil_some(bank)
    found = await bank.drift.verify(keys=("k1", "k3", "nobody"))
    assert (keys_in(found), found.rows) == (["k3"], 2)
    assert keys_in(await bank.drift.verify(keys=("strange", "k17"), most_rows=1)) == [
        "k17",
        "strange",
    ]


async def test_no_keys_are_no_rows(bank):
    await fill(bank, 3)
    assert (await bank.drift.verify(keys=())).rows == 0


async def test_two_selections_at_once_are_refused(bank):
    with pytest.raises(ConfigurationError, match="one of keys, sample and tenant"):
        await bank.drift.verify(keys=("k1",), sample=3)


async def test_a_sample_has_as_many_rows_as_asked_for_and_is_the_same_for_the_same_seed(bank):
    await fill(bank, 200)
    first = await bank.drift.verify(sample=50)
    assert (first.ok, first.rows) == (True, 50)
    assert first.seed is not None
    await bank.change(deleted=[f"k{n}" for n in range(0, 200, 2)])
    found = await bank.drift.verify(sample=50, seed=3)
    assert keys_in(found) == keys_in(await bank.drift.verify(sample=50, seed=3))
    assert keys_in(found) != keys_in(await bank.drift.verify(sample=50, seed=4))
    assert found.rows == 50
    assert (await bank.drift.verify(sample=500)).rows == 100


async def test_the_chance_of_a_sample_comes_from_the_environment(bank_of):
    seeds = []
    for _ in range(2):
        async with App("bank", BANK, environment=Environment.seeded(5)) as app:
            seeds.append((await bank_of(app).drift.verify(sample=1)).seed)
    assert seeds[0] == seeds[1]


async def test_a_generation_is_verified_and_repaired_by_the_name_of_its_projection(bank):
    await bank.deposit(a=1, b=2)
    await bank.app.rebuild(Balances)
    bank.plan = bank.app.sources[Balances].plan
    assert bank.plan.name == "balances__1"
    await bank.change(deleted=["a"])
    found = await bank.app.drift.verify(["balances"])
    assert [(one.projection, one.key) for one in found.differences] == [("balances", "a")]
    assert (await bank.app.drift.repair("balances", ["a"])).written == ("a",)
    assert (await bank.app.verify()).ok


async def test_rows_that_were_dropped_meanwhile_are_said_to_be(bank):
    await bank.deposit(a=1, b=2)
    await bank.app.rebuild(Balances)  # drops the first generation, which `bank` still has
    with pytest.raises(CheckpointMoved, match=r"balances were dropped.*Verify again"):
        await bank.drift.verify()


async def test_only_the_keys_of_a_tenant_are_compared(bank):
    await bank.app.dispatch(Deposit("a", 1), tenant="red")
    await bank.app.dispatch(Deposit("b", 1), tenant="blue")
    await bank.app.dispatch(Deposit("c", 1))
    await bank.app.dispatch(Deposit("c", 1), tenant="red")
    await bank.app.settle()
    assert (await bank.drift.verify(tenant="red")).rows == 2
    await bank.change(deleted=["a", "b"])
    assert keys_in(await bank.drift.verify(tenant="red")) == ["a"]
    assert (await bank.drift.verify(tenant="green")).rows == 0


async def test_an_unknown_projection_is_named_with_those_there_are(bank):
    with pytest.raises(ConfigurationError, match=r"no projection 'nothing'.*there are balances"):
        await bank.drift.verify(["nothing"])


async def test_f35_a_handler_that_is_wrong_for_one_event_type_is_named_by_the_keys_it_touched(
    bank_of,
):
    async with App("bank", BANK) as app:
        bank = bank_of(app)
        right = bank.plan.steps[Withdrawn]
        bank.plan.steps[Withdrawn] = right._replace(call=lambda _row, _event: None)
        for account in "abcd":
            await app.dispatch(Deposit(account, 10))
        for account in "bd":
            await app.dispatch(Withdraw(account, 3))
        await app.settle()
        assert (await bank.drift.verify()).ok
        bank.plan.steps[Withdrawn] = right  # the mended code
        found = await bank.drift.verify()
        assert keys_in(found) == ["b", "d"]
        assert [one.expected for one in found.differences] == [Balance("b", 7), Balance("d", 7)]
        assert (await app.load(Account, "b")).balance == 7
        done = await bank.drift.repair("balances", keys_in(found))
        assert (done.written, done.deleted, done.ok) == (("b", "d"), (), True)
        assert (await bank.drift.verify()).ok
