"""How fast are single events made durable on PostgreSQL, from 64 clients, from 256, from one?

Every append is one event, checked against its expected version, for streams that grow to ten
events and then give way to a new one. "Direct" is what most asyncio code does: an INSERT and
a commit per event over a pool of 16 connections, where the unique index is the check. `pgbench` is
the same INSERT without Python. COPY is the most that the server takes: nobody waits for a row.
"""

from __future__ import annotations

import asyncio
from functools import partial

from benchmarks.clocks import keep_in_flight, stopwatch
from benchmarks.diptych_cart import cart_and_version, one_event
from benchmarks.measuring import Benchmark, Sample, Scale, Target
from benchmarks.postgres.events_table import COLUMNS, INSERT, TABLE, connect, item_added, prepared
from benchmarks.postgres.pgbench import pgbench
from benchmarks.postgres.processes import appending_together
from benchmarks.postgres.server import BenchServer, Schema
from diptych.adapters.postgres.event_log import PostgresEventLog

IN_FLIGHT = 64
MANY_IN_FLIGHT = 256
POOL = 16
PROCESSES = 4
ROWS_A_COPY = 20_000

DIRECT = "floor, direct INSERT over 16 connections, {} in flight"
DIRECT_64, DIRECT_256 = DIRECT.format(64), DIRECT.format(256)
DIRECT_1 = "floor, one direct INSERT at a time"
PGBENCH = "floor, pgbench, the same INSERT from 64 clients"
COPY = f"floor, COPY, {ROWS_A_COPY:,} rows each"
OURS_64, OURS_256 = "diptych, 64 in flight", "diptych, 256 in flight"
OURS_1 = "diptych, one in flight"
OURS_4X16 = "diptych, 4 processes, 16 in flight in each"
OURS_4X64 = "diptych, 4 processes, 64 in flight in each"


def benchmark(scale: Scale, server: BenchServer) -> Benchmark:
    """Compare appends of one event with the floors, every table new."""
    seconds = scale.pick(0.5, 3.0)
    new = partial(server.on_new_schema, seconds=seconds)
    return Benchmark(
        name="postgres.append",
        unit="events/s",
        variants={
            DIRECT_64: new(directly, in_flight=IN_FLIGHT),
            DIRECT_256: new(directly, in_flight=MANY_IN_FLIGHT),
            DIRECT_1: new(directly, in_flight=1),
            PGBENCH: new(pgbench, program=server.program("pgbench"), clients=IN_FLIGHT),
            COPY: new(copying),
            OURS_64: new(diptych, in_flight=IN_FLIGHT),
            OURS_256: new(diptych, in_flight=MANY_IN_FLIGHT),
            OURS_1: new(diptych, in_flight=1),
            OURS_4X16: new(several, in_flight=IN_FLIGHT // PROCESSES),
            OURS_4X64: new(several, in_flight=IN_FLIGHT),
        },
        targets=[
            Target("append, 64 in flight", OURS_64, DIRECT_64, at_least=3),
            Target("append, 64 in flight", OURS_64, PGBENCH, at_least=2.5),
            Target("append, 64 in flight", OURS_64, COPY, at_least=0.25),
            Target("append, 256 in flight", OURS_256, DIRECT_256, at_least=3),
            Target("append, one in flight", OURS_1, DIRECT_1, at_least=0.9),
            Target("append, 4 processes of 16", OURS_4X16, OURS_64, at_least=1),
            Target("append, 4 processes of 64", OURS_4X64, OURS_64, at_least=1),
            Target("append, 4 processes of 64", OURS_4X64, OURS_256),
        ],
    )


def directly(schema: Schema, seconds: float, in_flight: int) -> Sample:
    """Insert and commit each event by itself; the statement is prepared once per connection."""

    async def run() -> Sample:
        async with prepared(schema, min(POOL, in_flight), INSERT) as pool:

            async def operation(client: int, turn: int) -> None:
                row = item_added(*cart_and_version(client, turn))
                statements = await pool.take()
                try:
                    await statements[0].fetch(*row)
                finally:
                    pool.give_back(statements)

            return await keep_in_flight(operation, in_flight, seconds)

    return asyncio.run(run())


def copying(schema: Schema, seconds: float) -> Sample:
    """Load rows as a bulk load does it, each COPY a transaction."""

    async def run() -> Sample:
        connection = await connect(schema)
        await connection.execute(TABLE)
        copies = 0
        with stopwatch() as watch:
            while watch.elapsed_s < seconds:
                rows = (item_added(*cart_and_version(copies, turn)) for turn in range(ROWS_A_COPY))
                await connection.copy_records_to_table(
                    "events", records=rows, columns=COLUMNS, schema_name=schema.name
                )
                copies += 1
        await connection.close()
        return watch.rate(copies * ROWS_A_COPY)

    return asyncio.run(run())


def diptych(schema: Schema, seconds: float, in_flight: int) -> Sample:
    """Append through the port, every append checked against its expected version."""

    async def run() -> Sample:
        log = PostgresEventLog(schema.url)
        await log.open()

        async def operation(client: int, turn: int) -> None:
            await log.append(one_event(*cart_and_version(client, turn)))

        try:
            # The first append connects.
            await log.append(one_event("warm-up", 1))
            return await keep_in_flight(operation, in_flight, seconds)
        finally:
            await log.close()

    return asyncio.run(run())


def several(schema: Schema, seconds: float, in_flight: int) -> Sample:
    """Let several processes append to one log at the same time."""
    return appending_together(schema.url, PROCESSES, in_flight, seconds)
