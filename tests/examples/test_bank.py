"""The bank decides, remembers, answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from diptych import App, Rejection
from diptych_examples.bank import bank
from diptych_examples.bank.bank import (
    Account,
    Balance,
    Balances,
    Deposit,
    Deposited,
    GetBalance,
    InsufficientFunds,
    Withdraw,
    Withdrawn,
    get_balance,
)


def test_the_readme_example_has_fewer_than_100_lines():
    assert len(Path(bank.__file__).read_text().splitlines()) < 100


def test_what_is_there_can_be_withdrawn():
    account = Account()
    account.evolve(Deposited("alice", 100))
    assert account.decide(Withdraw("alice", 100)) == Withdrawn("alice", 100)


def test_more_than_there_is_cannot_be_withdrawn():
    with pytest.raises(InsufficientFunds) as caught:
        Account(pence=70).decide(Withdraw("alice", 100))
    assert caught.value.missing_pence == 30


@pytest.mark.parametrize("command", [Deposit("alice", 0), Withdraw("alice", -5)])
def test_nothing_is_no_amount(command: Deposit | Withdraw):
    with pytest.raises(Rejection):
        Account(pence=70).decide(command)


async def test_the_balance_shows_what_was_accepted():
    async with App("bank", [Account, Balances, get_balance]) as app:
        done = await app.dispatch(Deposit("alice", 100))
        with pytest.raises(InsufficientFunds):
            await app.dispatch(Withdraw("alice", 101))
        assert await app.ask(GetBalance("alice"), after=done.token) == Balance("alice", 100)
        done = await app.dispatch(Withdraw("alice", 30))
        assert await app.ask(GetBalance("alice"), after=done.token) == Balance("alice", 70)


async def test_it_runs_as_the_readme_shows_it(capsys: pytest.CaptureFixture[str]):
    await bank.main()
    printed = capsys.readouterr().out
    assert "rejected: not enough money {'missing_pence': 43000}" in printed
    assert "pence=7000" in printed
