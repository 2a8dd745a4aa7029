"""Several processes that do the same at the same time: `python -m benchmarks.postgres.processes`.

Each says "ready" when it is connected, begins at a word, and prints what it did as JSON.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import ExitStack
from typing import Any

from benchmarks.clocks import keep_in_flight
from benchmarks.diptych_cart import cart_and_version, one_event
from benchmarks.machine import ROOT
from benchmarks.measuring import Sample
from diptych.adapters.postgres.event_log import PostgresEventLog


def appending_together(url: str, processes: int, in_flight: int, seconds: float) -> Sample:
    """Append from several processes to one log; events per second of all of them."""
    with ExitStack() as stack:
        started = [
            stack.enter_context(start(number, url, in_flight, seconds))
            for number in range(processes)
        ]
        for process in started:
            if process.stdout.readline().strip() != "ready":
                raise RuntimeError("an appending process did not come up; see above")
        for process in started:
            process.stdin.write("go\n")
            process.stdin.flush()
        answers = [json.loads(process.stdout.readline()) for process in started]
    rates = [answer["rate"] for answer in answers]
    cpu_us = sum(answer["cpu_us"] * answer["rate"] for answer in answers) / sum(rates)
    return Sample(sum(rates), cpu_us, {"rates": rates})


def start(number: int, url: str, in_flight: int, seconds: float) -> subprocess.Popen[Any]:
    """Start one of the processes."""
    options = {"number": number, "url": url, "in_flight": in_flight, "seconds": seconds}
    return subprocess.Popen(
        [sys.executable, "-m", __name__, json.dumps(options)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


async def append(number: int, url: str, in_flight: int, seconds: float) -> Sample:
    """Append to carts of this process's own."""
    log = PostgresEventLog(url)
    await log.open()

    async def operation(client: int, turn: int) -> None:
        cart, version = cart_and_version(client, turn)
        await log.append(one_event(f"{number}-{cart}", version))

    try:
        await log.append(one_event(f"warm-up-{number}", 1))
        print("ready", flush=True)
        sys.stdin.readline()
        return await keep_in_flight(operation, in_flight, seconds)
    finally:
        await log.close()


def main() -> None:
    """Append and print."""
    sample = asyncio.run(append(**json.loads(sys.argv[1])))
    print(json.dumps({"rate": sample.value, "cpu_us": sample.cpu_us}), flush=True)


if __name__ == "__main__":
    main()
