"""Commands on accounts with eventsourcing on PostgreSQL, by a number of threads.

The pool is as large as the number of threads, so nobody waits for a connection.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any
from uuid import UUID

from eventsourcing_commands import Account, Bank
from eventsourcing_postgres_projection import environment


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Seed accounts, then send each of them one command."""
    threads = options["threads"]
    env = environment(options, pool=max(threads, 5))
    env["POSTGRES_ENABLE_DB_FUNCTIONS"] = "yes" if options["by_function"] else "no"
    bank = Bank(env=env)
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
    bank.close()
    return {
        "threads": threads,
        "by_function": options["by_function"],
        "rate": done / wall,
        "cpu_us": cpu * 1e6 / done,
    }


def main() -> None:
    """Measure and print."""
    answer = measure(json.loads(sys.argv[1]))
    versions = {name: version(name) for name in ("eventsourcing", "psycopg")}
    print(json.dumps({**answer, **versions}))


if __name__ == "__main__":
    main()
