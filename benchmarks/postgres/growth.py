"""Does it stay fast on PostgreSQL? A log of 100 thousand events against one of 5 million.

Appends open new carts, 64 in flight; names are like random ids, so the index on streams is written
all over. Loads read carts of ten events from anywhere in the log. A projection over 20,000 articles
is rebuilt from the first event, and catches up with the last 100,000. Those two differ: in a short
log a larger share of a rebuild is new rows, which are cheaper than changed ones. The large log is
larger than the server's shared buffers.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import resource
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

from benchmarks.clocks import stopwatch
from benchmarks.diptych_cart import Cart, one_event
from benchmarks.measuring import Benchmark, Sample, Scale, Target
from benchmarks.order_lines import LINES_PER_CART, cart_id
from benchmarks.postgres.log_tables import fill
from benchmarks.postgres.read_model import catching_up, reading, rebuilding
from benchmarks.postgres.server import BenchServer, Schema
from diptych import App
from diptych.adapters.postgres.event_log import PostgresEventLog

KEYS = 20_000
IN_FLIGHT = 64
# Page caches are filled before the clock runs: the question is growth, not the first minute.
WARM_UP = 500

SIZES = """
SELECT
    pg_table_size(events), pg_indexes_size(events),
    (
        SELECT sum(pg_relation_size(indexrelid)) FROM pg_index
        WHERE indrelid = events AND NOT indisprimary
    )
FROM CAST($1 || '.events' AS regclass) AS events
"""


def benchmark(scale: Scale, server: BenchServer) -> Benchmark:
    """Compare each rate on the large log with the same on the small one."""
    counts = scale.pick([10_000, 50_000], [100_000, 5_000_000])
    sizes = {f"{count:,} events": count for count in counts}
    small, large = sizes
    schemas = {}
    for name, size in sizes.items():
        schemas[name] = server.make_schema()
        fill(schemas[name], size, KEYS)
    # As long as a difference needs to be seen: the small log more than once.
    times = {small: scale.pick(1, 10), large: 1}
    latest = scale.pick(5_000, 100_000)
    measurements: dict[str, Callable[[str], Sample]] = {
        "append": lambda name: appending(schemas[name], scale.pick(1_000, 20_000)),
        "load": lambda name: loading(schemas[name], sizes[name], scale.pick(200, 3_000)),
        "rebuild": lambda name: rebuilding(schemas[name], times[name]),
        "catch up": lambda name: catching_up(schemas[name], latest),
        "floor, read and decode": lambda name: reading(schemas[name], times[name]),
    }

    def measured(what: str, name: str) -> Sample:
        server.execute("CHECKPOINT")
        sample = measurements[what](name)
        return replace(sample, details={**sample.details, **sized(server, schemas[name])})

    bounds = {"append": 0.8, "load": 0.8, "rebuild": 0.8, "catch up": 0.8}
    return Benchmark(
        name="postgres.growth",
        unit="events/s",
        variants={
            f"{what}, {name}": partial(measured, what, name)
            for what, name in itertools.product(measurements, sizes)
        },
        targets=[
            Target(
                f"{what}, {large}",
                f"{what}, {large}",
                f"{what}, {small}",
                at_least=bounds.get(what),
            )
            for what in measurements
        ],
        at_most_repetitions=3,
    )


def sized(server: BenchServer, schema: Schema) -> dict[str, Any]:
    """Say how large the table of events and its indexes are, and this process."""
    table, indexes, streams = server.rows(SIZES, schema.name)[0]
    return {
        "table_mb": round(table / 1e6),
        "indexes_mb": round(indexes / 1e6),
        "index_on_streams_mb": round(int(streams) / 1e6),
        "largest_client_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
    }


def appending(schema: Schema, appends: int) -> Sample:
    """Append the first line of new carts, 64 in flight."""
    numbers = iter(range(appends))

    async def run() -> Sample:
        log = PostgresEventLog(schema.url)
        await log.open()

        async def client(turns: Any) -> None:
            for _ in turns:
                await log.append(one_event(uuid4().hex, 1))

        try:
            await client(range(WARM_UP))
            with stopwatch() as watch:
                await asyncio.gather(*(client(numbers) for _ in range(IN_FLIGHT)))
            return watch.rate(appends)
        finally:
            await log.close()

    return asyncio.run(run())


def loading(schema: Schema, size: int, loads: int) -> Sample:
    """Load carts from anywhere in the log through the application; events per second."""
    chance = random.Random(7)
    carts = [
        cart_id(chance.randrange(size // LINES_PER_CART)).removeprefix("cart-")
        for _ in range(loads + WARM_UP)
    ]

    async def run() -> Sample:
        async with App("bench", [Cart], write=schema.url) as app:
            for cart in carts[:WARM_UP]:
                await app.load(Cart, cart)
            with stopwatch() as watch:
                for cart in carts[WARM_UP:]:
                    await app.load(Cart, cart)
            return watch.rate(loads * LINES_PER_CART)

    return asyncio.run(run())
