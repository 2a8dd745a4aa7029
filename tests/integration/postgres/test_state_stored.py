"""Aggregates that are stored as state, on PostgreSQL."""

from __future__ import annotations

from diptych import Aggregate, App, Command, Event


class Deposit(Command):
    account_id: str
    amount: int


class Deposited(Event):
    account_id: str
    amount: int


class Account(Aggregate, key="account_id"):
    balance: int = 0

    def deposit(self, command: Deposit) -> Deposited:
        return Deposited(command.account_id, command.amount)

    def deposited(self, event: Deposited) -> None:
        self.balance += event.amount


async def test_a_state_is_stored_and_found_again(postgres_url):
    async with App("bank", [Account], write=postgres_url, state_stored=[Account]) as app:
        await app.dispatch(Deposit("a", 5))
        await app.dispatch(Deposit("a", 2))
        snapshot = await app.log.snapshot("Account-a")
    assert snapshot is not None
    assert snapshot.version == 2
    async with App("bank", [Account], write=postgres_url, state_stored=[Account]) as app:
        assert (await app.load(Account, "a")).balance == 7
