"""An application from end to end, on memory."""

import pytest
from banking import (
    BANK,
    Account,
    Balance,
    Deposit,
    Deposited,
    GetBalance,
    InsufficientFunds,
    Richest,
    Transfer,
    Withdraw,
    Withdrawn,
)

from diptych import App, Projection
from diptych.errors import ConfigurationError, StaleRead
from diptych.queries.read_store import Change, Row
from diptych.testing import recorded, scenario


async def test_commands_lead_to_events_and_events_to_answers():
    async with scenario(BANK) as bank:
        await bank.given(Deposit("a", 100)).when(Withdraw("a", 30)).then(Withdrawn("a", 30))
        await bank.ask(GetBalance("a")).gives(Balance("a", 70))
        await bank.when(Transfer("a", "b", 20)).then(Withdrawn("a", 20), Deposited("b", 20))
        await bank.ask(Richest()).gives([Balance("a", 50), Balance("b", 20)])


async def test_events_may_be_given_too():
    async with scenario(BANK) as bank:
        await bank.given(Deposited("a", 100), Deposit("a", 1))
        await bank.given(recorded(Deposited("b", 7), stream="Account-b"))
        assert (await bank.app.load(Account, "a")).balance == 101
        await bank.ask(GetBalance("b")).gives(Balance("b", 7))


async def test_events_may_be_given_to_what_is_stored_as_state():
    app = App("bank", BANK, state_stored=[Account])
    async with scenario(app) as bank:
        await bank.given(Deposited("a", 100)).when(Withdraw("a", 30)).then(Withdrawn("a", 30))
        await bank.given(Deposited("a", 1)).when(Withdraw("a", 72)).then_rejected(missing=1)


async def test_a_rejection_is_told_with_its_facts():
    async with scenario(BANK) as bank:
        given = bank.given(Deposit("a", 100))
        await given.when(Withdraw("a", 500)).then_rejected(InsufficientFunds, missing=400)
        await bank.when(Deposit("a", 0)).then_nothing()


async def test_an_app_of_its_own_with_an_empty_log_will_do():
    app = App("bank", BANK, write="memory://", inline=[BANK[1]])
    async with scenario(app) as bank:
        await bank.given(Deposit("a", 1)).ask(GetBalance("a")).gives(Balance("a", 1))


async def test_an_app_with_events_is_refused_and_left_closed():
    app = App("bank", BANK)
    await app.dispatch(Deposit("a", 1))
    with pytest.raises(ConfigurationError, match="empty log"):
        async with scenario(app):
            pass


async def test_wrong_events_and_answers_tell_the_story_so_far():
    async with scenario(BANK) as bank:
        with pytest.raises(AssertionError) as failed:
            await bank.given(Deposit("a", 100)).when(Withdraw("a", 3)).then(Withdrawn("a", 4))
        assert "given   Deposit(account_id='a', amount=100)" in str(failed.value)
        assert "event[0].amount: expected 4, was 3" in str(failed.value)
        with pytest.raises(AssertionError, match="balance: expected 1, was 97"):
            await bank.ask(GetBalance("a")).gives(Balance("a", 1))
        with pytest.raises(AssertionError, match="rejected: insufficient funds"):
            await bank.when(Withdraw("a", 500)).then()
        with pytest.raises(AssertionError, match="rejected: InsufficientFunds"):
            await bank.when(Deposit("a", 500)).then_rejected(InsufficientFunds)


async def test_a_projection_that_fails_is_named_at_the_end():
    class Broken(Projection[Balance]):
        def deposited(self, row: Balance, event: Deposited) -> None:
            raise ZeroDivisionError

    with pytest.raises(StaleRead, match="ZeroDivisionError"):
        async with scenario([Account, Broken], within_s=1) as bank:
            await bank.given(Deposit("a", 1))


async def test_the_same_seed_gives_the_same_world():
    async def ids(seed: int) -> list[str]:
        async with scenario(BANK, seed=seed) as bank:
            await bank.given(Deposit("a", 1))
            return [one.meta for one in await bank.app.log.read(0, 10)]

    assert await ids(1) == await ids(1)
    assert await ids(1) != await ids(2)


async def test_a_read_model_that_drifted_is_named_at_the_end():
    async def drift() -> None:
        async with scenario(BANK) as bank:
            await bank.given(Deposit("a", 5))
            await bank.app.settle()
            store = bank.app.sources[BANK[1]].store
            await store.apply([Change("balances", 1, 1, [Row("a", 1, Balance("a", 6))])])

    with pytest.raises(AssertionError, match="balances 'a': balance: expected 5, was 6"):
        await drift()
