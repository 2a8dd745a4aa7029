"""How long after a commit does somebody know who waits for it, in this process and in another?

About a hundred appends a second, at irregular moments. A wake-up is counted from the moment at
which `append` returned to its caller, who knows then that the commit has happened; one that came
before that counts as it is, below zero. "From the call" has the commit itself in it.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from bisect import bisect_left
from functools import partial
from typing import TypeAlias

from benchmarks.clocks import latencies
from benchmarks.diptych_cart import cart_and_version, one_event
from benchmarks.machine import ROOT
from benchmarks.measuring import Benchmark, Sample, Scale, Target
from benchmarks.postgres.server import BenchServer, Schema
from diptych.adapters.postgres.event_log import PostgresEventLog

PER_SECOND = 100
WARM_UP = 10
OTHER, SAME = "another process", "the same process"

Moments: TypeAlias = list[tuple[int, float]]
"""Positions, and when something was known of them, by the clock that all processes share."""


def benchmark(scale: Scale, server: BenchServer) -> Benchmark:
    """Measure the wake-up in both places."""
    new = partial(server.on_new_schema, appends=scale.pick(50, 400))
    targets = []
    for where in (OTHER, SAME):
        value = partial(Target, of=where, relation="value")
        targets += [
            value(f"commit to {where}, p50", at_most=1, detail="p50_ms"),
            value(f"commit to {where}, p99", at_most=5, detail="p99_ms"),
            value(f"from the call of append to {where}, p50", detail="from_call_p50_ms"),
            value(f"from the call of append to {where}, p99", detail="from_call_p99_ms"),
        ]
    return Benchmark(
        name="postgres.wake_up",
        unit="ms",
        variants={OTHER: new(in_another_process), SAME: new(in_the_same_process)},
        targets=targets,
    )


def in_another_process(schema: Schema, appends: int) -> Sample:
    """Let another process wait."""
    waiting = subprocess.Popen(
        [sys.executable, "-m", __name__, json.dumps({"url": schema.url, "upto": appends})],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with waiting:
        if waiting.stdout is None or waiting.stdout.readline().strip() != "ready":
            raise RuntimeError("the waiting process did not come up; see above")
        called, returned = asyncio.run(appending(schema, appends))
        woken = json.loads(waiting.stdout.readline())
    return related(called[WARM_UP:], returned[WARM_UP:], woken)


def in_the_same_process(schema: Schema, appends: int) -> Sample:
    """Wait on the log that appends."""

    async def run() -> Sample:
        log = PostgresEventLog(schema.url)
        await log.open()
        try:
            waiting = asyncio.create_task(wait(log, appends))
            called, returned = await append_now_and_then(log, appends)
            return related(called[WARM_UP:], returned[WARM_UP:], await waiting)
        finally:
            await log.close()

    return asyncio.run(run())


async def appending(schema: Schema, appends: int) -> tuple[Moments, Moments]:
    """Append to a log of one's own."""
    log = PostgresEventLog(schema.url)
    await log.open()
    try:
        return await append_now_and_then(log, appends)
    finally:
        await log.close()


async def append_now_and_then(log: PostgresEventLog, appends: int) -> tuple[Moments, Moments]:
    """Append about a hundred times a second; when it was called, and when it returned."""
    chance = random.Random(7)
    called, returned = [], []
    for turn in range(appends):
        await asyncio.sleep(chance.uniform(0.5, 1.5) / PER_SECOND)
        append = one_event(*cart_and_version(0, turn))
        now = time.monotonic()
        position = (await log.append(append)).last
        called.append((position, now))
        returned.append((position, time.monotonic()))
    return called, returned


async def wait(log: PostgresEventLog, upto: int) -> Moments:
    """Wait for one head after the other."""
    head, woken = 0, []
    while head < upto:
        head = await log.wait(head)
        woken.append((head, time.monotonic()))
    return woken


def related(called: Moments, returned: Moments, woken: Moments) -> Sample:
    """Compare when a position was written with when a head was seen that is at least as high."""
    heads = [head for head, _ in woken]

    def delays(since: Moments) -> list[float]:
        return [
            (woken[bisect_left(heads, position)][1] - moment) * 1_000 for position, moment in since
        ]

    from_call = latencies(delays(called))
    return latencies(
        delays(returned),
        wake_ups=len(woken),
        **{f"from_call_{name}": value for name, value in from_call.details.items()},
    )


async def wait_in_this_process(url: str, upto: int) -> Moments:
    """Wait on a log of one's own."""
    log = PostgresEventLog(url)
    await log.open()
    try:
        waiting = asyncio.create_task(wait(log, upto))
        # Whoever waits, waits: its connection listens.
        await asyncio.sleep(0.2)
        print("ready", flush=True)
        return await waiting
    finally:
        await log.close()


def main() -> None:
    """Wait and print."""
    print(json.dumps(asyncio.run(wait_in_this_process(**json.loads(sys.argv[1])))), flush=True)


if __name__ == "__main__":
    main()
