"""Commands on accounts with eventsourcing on SQLite, at its defaults, by a number of threads."""

import json
import sqlite3
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event


class Account(Aggregate):
    """An account that never goes below zero."""

    def __init__(self) -> None:
        """Open the account."""
        self.balance = 0

    @event("Deposited")
    def deposit(self, amount: int) -> None:
        """Add money."""
        self.balance += amount

    def withdraw(self, amount: int) -> None:
        """Take money, if there is enough."""
        if amount > self.balance:
            raise ValueError("the balance is too low")
        self._withdraw(amount)

    @event("Withdrawn")
    def _withdraw(self, amount: int) -> None:
        self.balance -= amount


class Bank(Application[UUID]):
    """The commands."""

    def withdraw(self, account_id: UUID, amount: int) -> None:
        """Load the account, decide, save."""
        account: Account = self.repository.get(account_id)
        account.withdraw(amount)
        self.save(account)


def measure(path: Path, threads: int, options: dict[str, Any]) -> dict[str, Any]:
    """Seed a new file with accounts, then send each of them one command."""
    bank = Bank(
        env={
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": str(path),
        }
    )
    accounts = []
    for _ in range(options["commands"]):
        account = Account()
        # The account's opening is its first event.
        for _ in range(options["events_before"] - 1):
            account.deposit(100)
        accounts.append(account)
    for start in range(0, len(accounts), 500):
        bank.save(*accounts[start : start + 500])
    ids = [account.id for account in accounts]
    del accounts

    deadline = time.perf_counter() + options["seconds"]
    wall, cpu = time.perf_counter(), time.process_time()

    def work(own: list[UUID]) -> int:
        for done, account_id in enumerate(own):
            if time.perf_counter() > deadline:
                return done
            bank.withdraw(account_id, 6)
        return len(own)

    if threads == 1:
        done = work(ids)
    else:
        with ThreadPoolExecutor(threads) as executor:
            done = sum(executor.map(work, [ids[n::threads] for n in range(threads)]))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu

    with bank.factory.datastore.transaction(commit=False) as cursor:
        pragmas = {}
        for name in ("journal_mode", "synchronous"):
            cursor.execute(f"PRAGMA {name}")
            pragmas[name] = cursor.fetchone()[0]
    bank.close()
    return {"threads": threads, "rate": done / wall, "cpu_us": cpu * 1e6 / done, **pragmas}


def main() -> None:
    """Measure each number of threads on a file of its own, and print the best with all of them."""
    options = json.loads(sys.argv[1])
    runs = [
        measure(Path(options["folder"]) / f"{threads}.db", threads, options)
        for threads in options["threads"]
    ]
    best = max(runs, key=lambda run: run["rate"])
    versions = {"eventsourcing": version("eventsourcing"), "sqlite": sqlite3.sqlite_version}
    print(json.dumps({**best, "runs": runs, **versions}))


if __name__ == "__main__":
    main()
