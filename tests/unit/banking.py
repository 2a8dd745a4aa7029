"""The bank that tests tell their stories about: accounts, balances, transfers."""

from __future__ import annotations

from diptych import (
    Aggregate,
    Command,
    Event,
    Projection,
    Query,
    Reader,
    ReadModel,
    Rejection,
    UnitOfWork,
)


class Deposit(Command):
    account_id: str
    amount: int


class Withdraw(Command):
    account_id: str
    amount: int


class Transfer(Command):
    source: str
    target: str
    amount: int


class Deposited(Event, tags=("account_id",)):
    account_id: str
    amount: int


class Withdrawn(Event, tags=("account_id",)):
    account_id: str
    amount: int


class InsufficientFunds(Rejection):
    code = "insufficient_funds"


class Account(Aggregate, key="account_id"):
    balance: int = 0

    def deposit(self, command: Deposit) -> Deposited | None:
        if command.amount < 0:
            raise Rejection("amount must be positive")
        return Deposited(command.account_id, command.amount) if command.amount else None

    def withdraw(self, command: Withdraw) -> Withdrawn:
        if command.amount > self.balance:
            missing = command.amount - self.balance
            raise InsufficientFunds("insufficient funds", missing=missing)
        return Withdrawn(command.account_id, command.amount)

    def deposited(self, event: Deposited) -> None:
        self.balance += event.amount

    def withdrawn(self, event: Withdrawn) -> None:
        self.balance -= event.amount


async def transfer(command: Transfer, work: UnitOfWork) -> None:
    await work.decide(Account, command.source, Withdraw(command.source, command.amount))
    await work.decide(Account, command.target, Deposit(command.target, command.amount))


class Balance(ReadModel, key="account_id", indexes=("balance",)):
    account_id: str
    balance: int = 0


class Balances(Projection[Balance]):
    def deposited(self, row: Balance, event: Deposited) -> None:
        row.balance += event.amount

    def withdrawn(self, row: Balance, event: Withdrawn) -> None:
        row.balance -= event.amount


class GetBalance(Query[Balance | None]):
    account_id: str


class Richest(Query[list[Balance]]):
    limit: int = 10


async def get_balance(query: GetBalance, balances: Reader[Balance]) -> Balance | None:
    return await balances.get(query.account_id)


async def richest(query: Richest, balances: Reader[Balance]) -> list[Balance]:
    return await balances.find(order_by="-balance", limit=query.limit)


BANK = [Account, Balances, get_balance, richest, transfer]
