"""A bank account: the smallest whole diptych. Run it: python -m diptych_examples.bank.bank"""

import asyncio

from diptych import Aggregate, App, Command, Event, Projection, Query, Reader, ReadModel, Rejection


class Deposit(Command):
    """Put money in."""

    account_id: str
    pence: int


class Withdraw(Command):
    """Take money out."""

    account_id: str
    pence: int


class Deposited(Event):
    """Money was put in."""

    account_id: str
    pence: int


class Withdrawn(Event):
    """Money was taken out."""

    account_id: str
    pence: int


class InsufficientFunds(Rejection):
    """There is less in the account than was asked for."""


class Account(Aggregate, key="account_id"):
    """The left panel: what must be known to decide, and nothing else."""

    pence: int = 0

    def decide(self, command: Deposit | Withdraw) -> Deposited | Withdrawn:
        """Nobody takes out what is not there."""
        if command.pence < 1:
            raise Rejection("one penny at least")
        if isinstance(command, Deposit):
            return Deposited(command.account_id, command.pence)
        if command.pence > self.pence:
            raise InsufficientFunds("not enough money", missing_pence=command.pence - self.pence)
        return Withdrawn(command.account_id, command.pence)

    def evolve(self, event: Deposited | Withdrawn) -> None:
        """What has happened changes what will be decided next."""
        self.pence += event.pence if isinstance(event, Deposited) else -event.pence


class Balance(ReadModel, key="account_id"):
    """The right panel: what one screen shows."""

    account_id: str
    pence: int = 0


class Balances(Projection[Balance]):
    """Events become balances."""

    def moved(self, balance: Balance, event: Deposited | Withdrawn) -> None:
        """Runs beside the commands, and again from the first event whenever you like."""
        balance.pence += event.pence if isinstance(event, Deposited) else -event.pence


class GetBalance(Query[Balance | None]):
    """How much is in this account?"""

    account_id: str


async def get_balance(query: GetBalance, balances: Reader[Balance]) -> Balance | None:
    """Answer with the one row."""
    return await balances.get(query.account_id)


async def main(write: str = "memory://") -> None:
    """Earn, spend, ask for too much, and read what was written."""
    async with App("bank", [Account, Balances, get_balance], write=write) as bank:
        await bank.dispatch(Deposit("alice", 100_00))
        done = await bank.dispatch(Withdraw("alice", 30_00))
        try:
            await bank.dispatch(Withdraw("alice", 500_00))
        except InsufficientFunds as no:
            print("rejected:", no, no.facts)
        print(await bank.ask(GetBalance("alice"), after=done.token))


if __name__ == "__main__":
    asyncio.run(main())
