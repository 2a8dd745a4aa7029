"""How fast are single events made durable, from 64 clients and from one?

Floor A is what most asyncio code does: one commit per append, in a one-thread executor.
Floor B is the most that SQLite gives: batches of a thousand rows that nobody waits for.
Floor C is one client that calls SQLite directly.
"""

import asyncio
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks.clocks import keep_in_flight, stopwatch
from benchmarks.diptych_cart import cart_and_version, one_event
from benchmarks.measuring import Benchmark, Sample, Scale, Target, Variant
from benchmarks.sqlite.events_file import INSERT, item_added, open_apsw, open_stdlib
from diptych.adapters.sqlite.event_log import SqliteEventLog

IN_FLIGHT = 64
BATCH = 1_000

FLOOR_A = "floor A, a commit each in an executor"
FLOOR_B = "floor B, batches of 1000"
FLOOR_C = "floor C, a commit each, direct"


def benchmark(scale: Scale, folder: Path) -> Benchmark:
    """Compare appends of one event with the floors, every file new."""
    seconds = scale.pick(0.4, 3.0)

    def on_new_file(run: Callable[[Path, float], Sample]) -> Variant:
        def sample() -> Sample:
            with tempfile.TemporaryDirectory(dir=folder) as fresh:
                return run(Path(fresh) / "events.db", seconds)

        return sample

    return Benchmark(
        name="sqlite.append",
        unit="events/s",
        variants={
            FLOOR_A: on_new_file(one_commit_each_in_an_executor),
            FLOOR_B: on_new_file(batches_of_a_thousand),
            FLOOR_C: on_new_file(one_commit_each_directly),
            "diptych, 64 in flight": on_new_file(partial(diptych, in_flight=IN_FLIGHT)),
            "diptych, one in flight": on_new_file(partial(diptych, in_flight=1)),
        },
        targets=[
            Target("append, 64 in flight", "diptych, 64 in flight", FLOOR_A, at_least=10),
            Target("append, 64 in flight", "diptych, 64 in flight", FLOOR_B, at_least=0.10),
            Target("append, one in flight", "diptych, one in flight", FLOOR_C, at_least=0.9),
        ],
    )


def one_commit_each_in_an_executor(path: Path, seconds: float) -> Sample:
    """Floor A: 64 coroutines, one thread that commits for one of them at a time."""
    db = open_stdlib(path)

    def append(stream: str, version: int) -> None:
        db.execute("BEGIN IMMEDIATE")
        db.execute(INSERT, item_added(stream, version))
        db.execute("COMMIT")

    async def run() -> Sample:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as executor:

            async def operation(client: int, turn: int) -> None:
                call = partial(append, *cart_and_version(client, turn))
                await loop.run_in_executor(executor, call)

            return await keep_in_flight(operation, IN_FLIGHT, seconds)

    try:
        return asyncio.run(run())
    finally:
        db.close()


def batches_of_a_thousand(path: Path, seconds: float) -> Sample:
    """Floor B: a thousand rows a commit, as a bulk load does it."""
    db = open_apsw(path)
    batches = 0
    with stopwatch() as watch:
        while watch.elapsed_s < seconds:
            with db:
                db.executemany(
                    INSERT,
                    (item_added(*cart_and_version(batches, turn)) for turn in range(BATCH)),
                )
            batches += 1
    db.close()
    return watch.rate(batches * BATCH)


def one_commit_each_directly(path: Path, seconds: float) -> Sample:
    """Floor C: no event loop, no thread, one commit after the other."""
    db = open_apsw(path)
    turn = 0
    with stopwatch() as watch:
        while watch.elapsed_s < seconds:
            db.execute("BEGIN IMMEDIATE")
            db.execute(INSERT, item_added(*cart_and_version(0, turn)))
            db.execute("COMMIT")
            turn += 1
    db.close()
    return watch.rate(turn)


def diptych(path: Path, seconds: float, in_flight: int) -> Sample:
    """Append through the port, every append checked against its expected version."""

    async def run() -> Sample:
        log = SqliteEventLog(path)
        await log.open()

        async def operation(client: int, turn: int) -> None:
            await log.append(one_event(*cart_and_version(client, turn)))

        try:
            return await keep_in_flight(operation, in_flight, seconds)
        finally:
            await log.close()

    return asyncio.run(run())
