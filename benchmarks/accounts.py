"""The account of the commands benchmarks: as the floors fold it, and as diptych does.

A command loads an account of six events, decides, and appends one event durably. Each account gets
one command, so no side pays for conflicts.
"""

import asyncio

import msgspec

from benchmarks.clocks import stopwatch
from benchmarks.measuring import Sample
from diptych import Aggregate, App, Command, Event, Rejection

EVENTS_BEFORE = 6


class Deposited(msgspec.Struct, frozen=True, gc=False):
    """Money came in."""

    amount: int


class Withdrawn(msgspec.Struct, frozen=True, gc=False):
    """Money went out; never more than was there."""

    amount: int


class Deposit(Command):
    """Put money in."""

    account_id: str
    amount: int


class Withdraw(Command):
    """Take money out."""

    account_id: str
    amount: int


class MoneyDeposited(Event):
    """Money came in."""

    amount: int


class MoneyWithdrawn(Event):
    """Money went out."""

    amount: int


class Account(Aggregate, key="account_id"):
    """The same account as the peer's."""

    balance: int = 0

    def deposit(self, command: Deposit) -> MoneyDeposited:
        """Decide."""
        return MoneyDeposited(command.amount)

    def withdraw(self, command: Withdraw) -> MoneyWithdrawn:
        """Decide; never more than is there."""
        if command.amount > self.balance:
            raise Rejection("the balance is too low")
        return MoneyWithdrawn(command.amount)

    def deposited(self, event: MoneyDeposited) -> None:
        """Evolve."""
        self.balance += event.amount

    def withdrawn(self, event: MoneyWithdrawn) -> None:
        """Evolve."""
        self.balance -= event.amount


def withdraw_from_each(url: str, accounts: int, in_flight: int = 64) -> Sample:
    """Withdraw once from each of many accounts that no cache knows, 64 commands in flight."""

    async def each(app: App, make: type[Command], amount: int, times: int) -> None:
        numbers = iter(range(accounts))

        async def client() -> None:
            for number in numbers:
                for _ in range(times):
                    await app.dispatch(make(str(number), amount))  # type: ignore[call-arg]

        await asyncio.gather(*(client() for _ in range(in_flight)))

    async def run() -> Sample:
        async with App("bench", [Account], write=url) as app:
            await each(app, Deposit, 100, EVENTS_BEFORE)
        async with App("bench", [Account], write=url) as app:
            with stopwatch() as watch:
                await each(app, Withdraw, EVENTS_BEFORE, 1)
            return watch.rate(accounts)

    return asyncio.run(run())
