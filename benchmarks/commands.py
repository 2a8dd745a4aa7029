"""How many commands per second, from end to end?

A command loads an account of six events, decides, and appends one event durably. Each account gets
one command, so no side pays for conflicts. diptych keeps 64 commands in flight; the peer blocks, so
it is given threads, and the number of threads that suits it best counts.
"""

import asyncio
import tempfile
from pathlib import Path

import msgspec

from benchmarks.events_file import (
    INSERT,
    META,
    READ_STREAM,
    RECORDED_AT,
    open_apsw,
)
from benchmarks.measuring import Benchmark, Sample, Scale, Target, stopwatch
from benchmarks.peers import run_peer
from diptych import Aggregate, App, Command, Event, Rejection

EVENTS_BEFORE = 6

BY_HAND = "by hand, one after the other"
PEER_ONE = "eventsourcing, one thread"
PEER_BEST = "eventsourcing, its best number of threads"


class Deposited(msgspec.Struct, frozen=True, gc=False):
    """Money came in."""

    amount: int


class Withdrawn(msgspec.Struct, frozen=True, gc=False):
    """Money went out; never more than was there."""

    amount: int


def benchmark(scale: Scale, folder: Path) -> Benchmark:
    """Compare commands on accounts with the peer's, and with the same by hand."""
    commands = scale.pick(500, 4_000)
    # What suits a peer best is looked for on every repetition: it depends on the load.
    many = scale.pick([4, 16], [2, 4, 8, 16, 64])
    return Benchmark(
        name="commands",
        unit="commands/s",
        variants={
            BY_HAND: lambda: one_after_the_other(folder, commands),
            PEER_ONE: lambda: eventsourcing(folder, commands, [1]),
            "diptych, 64 in flight": lambda: diptych(folder, commands * scale.pick(1, 4)),
            PEER_BEST: lambda: eventsourcing(folder, commands, [1, *many]),
        },
        targets=[
            Target("commands, 64 in flight", "diptych, 64 in flight", PEER_BEST, at_least=5),
            Target("commands, 64 in flight", "diptych, 64 in flight", PEER_ONE),
            Target("commands, 64 in flight", "diptych, 64 in flight", BY_HAND),
        ],
    )


def one_after_the_other(folder: Path, commands: int) -> Sample:
    """Load, decide and commit with nothing between Python and SQLite."""
    encode = msgspec.json.Encoder().encode
    deposited = msgspec.json.Decoder(Deposited).decode
    withdrawn = msgspec.json.Decoder(Withdrawn).decode
    deposit = encode(Deposited(100))
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        db = open_apsw(Path(fresh) / "accounts.db")
        with db:
            db.executemany(
                INSERT,
                (
                    (f"account-{number}", version, "Deposited", 1, deposit, META, RECORDED_AT)
                    for number in range(commands)
                    for version in range(1, EVENTS_BEFORE + 1)
                ),
            )
        with stopwatch() as watch:
            for number in range(commands):
                stream, balance, last = f"account-{number}", 0, 0
                for version, kind, data in db.execute(READ_STREAM, (stream,)):
                    if kind == "Deposited":
                        balance += deposited(data).amount
                    else:
                        balance -= withdrawn(data).amount
                    last = version
                if balance < EVENTS_BEFORE:
                    raise ValueError("the balance is too low")
                row = encode(Withdrawn(EVENTS_BEFORE))
                db.execute("BEGIN IMMEDIATE")
                db.execute(INSERT, (stream, last + 1, "Withdrawn", 1, row, META, RECORDED_AT))
                db.execute("COMMIT")
        db.close()
    return watch.rate(commands)


def eventsourcing(folder: Path, commands: int, threads: list[int]) -> Sample:
    """Let eventsourcing do it with each number of threads; the best of them counts."""
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        answer = run_peer(
            "eventsourcing_commands",
            folder=fresh,
            commands=commands,
            events_before=EVENTS_BEFORE,
            threads=threads,
            seconds=8.0,
        )
    return Sample(answer.pop("rate"), answer.pop("cpu_us"), answer)


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


def diptych(folder: Path, commands: int) -> Sample:
    """Withdraw once from each of many accounts that no cache knows, 64 commands in flight."""
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        url = f"sqlite:///{fresh}/accounts.db"

        async def each(app: App, make: type[Command], amount: int, times: int) -> None:
            numbers = iter(range(commands))

            async def client() -> None:
                for number in numbers:
                    for _ in range(times):
                        await app.dispatch(make(str(number), amount))  # type: ignore[call-arg]

            await asyncio.gather(*(client() for _ in range(64)))

        async def run() -> Sample:
            async with App("bench", [Account], write=url) as app:
                await each(app, Deposit, 100, EVENTS_BEFORE)
            async with App("bench", [Account], write=url) as app:
                with stopwatch() as watch:
                    await each(app, Withdraw, EVENTS_BEFORE, 1)
                return watch.rate(commands)

        return asyncio.run(run())
