"""How many commands per second, from end to end, on PostgreSQL?

A command loads an account of six events, decides, and appends one event durably. Each account gets
one command, so no side pays for conflicts. diptych keeps 64 commands in flight; so does the floor,
by hand over 16 connections. The peer blocks, so it is given threads and as many connections, and
its best setting counts: the number of threads, and events inserted by its statements or its
function.
"""

from __future__ import annotations

import asyncio
from functools import partial

import msgspec

from benchmarks.accounts import EVENTS_BEFORE, Deposited, Withdrawn, withdraw_from_each
from benchmarks.clocks import stopwatch
from benchmarks.events import META, RECORDED_AT
from benchmarks.measuring import Benchmark, Sample, Scale, Target
from benchmarks.peers import run_peer
from benchmarks.postgres.events_table import (
    COLUMNS,
    INSERT,
    READ_STREAM,
    TABLE,
    Prepared,
    connect,
    prepared,
)
from benchmarks.postgres.server import BenchServer, Schema

IN_FLIGHT = 64
POOL = 16

OURS = "diptych, 64 in flight"
BY_HAND = "by hand, 64 in flight over 16 connections"
PEER_ONE = "eventsourcing, one thread"
PEER_BEST = "eventsourcing, its best setting"


def benchmark(scale: Scale, server: BenchServer) -> Benchmark:
    """Compare commands on accounts with the peer's, and with the same by hand."""
    commands = scale.pick(500, 2_000)
    seconds = scale.pick(0.5, 1.5)
    one = [(1, False)]
    # What suits a peer best is looked for on every repetition: it depends on the load.
    many = [(threads, by) for threads in scale.pick([4], [4, 16]) for by in (False, True)]
    peer = partial(partial, eventsourcing, server, commands, seconds)
    return Benchmark(
        name="postgres.commands",
        unit="commands/s",
        variants={
            OURS: server.on_new_schema(diptych, commands=commands * scale.pick(1, 4)),
            BY_HAND: server.on_new_schema(by_hand, commands=commands),
            PEER_ONE: peer(one),
            PEER_BEST: peer([*one, (1, True), *many]),
        },
        targets=[
            Target("commands, 64 in flight", OURS, PEER_BEST, at_least=5),
            Target("commands, 64 in flight", OURS, PEER_ONE),
            Target("commands, 64 in flight", OURS, BY_HAND),
        ],
    )


def diptych(schema: Schema, commands: int) -> Sample:
    """Send the commands to a new log."""
    return withdraw_from_each(schema.url, commands, IN_FLIGHT)


def by_hand(schema: Schema, commands: int) -> Sample:
    """Load, decide and insert, with nothing between Python and the driver."""

    async def run() -> Sample:
        await deposit(schema, commands)
        async with prepared(schema, POOL, READ_STREAM, INSERT) as pool:
            numbers = iter(range(commands))

            async def client() -> None:
                for number in numbers:
                    await withdraw(pool, f"account-{number}")

            with stopwatch() as watch:
                await asyncio.gather(*(client() for _ in range(IN_FLIGHT)))
            return watch.rate(commands)

    return asyncio.run(run())


async def deposit(schema: Schema, accounts: int) -> None:
    """Write what the accounts hold before, the quick way."""
    data = msgspec.json.encode(Deposited(100))
    connection = await connect(schema)
    await connection.execute(TABLE)
    await connection.copy_records_to_table(
        "events",
        records=(
            (f"account-{number}", version, "Deposited", 1, data, META, RECORDED_AT)
            for number in range(accounts)
            for version in range(1, EVENTS_BEFORE + 1)
        ),
        columns=COLUMNS,
        schema_name=schema.name,
    )
    await connection.close()


ENCODE = msgspec.json.Encoder().encode
DEPOSITED = msgspec.json.Decoder(Deposited).decode
WITHDRAWN = msgspec.json.Decoder(Withdrawn).decode


async def withdraw(pool: Prepared, stream: str) -> None:
    """Load an account, decide, insert; the unique index is the check."""
    statements = await pool.take()
    try:
        select, insert = statements
        balance = last = 0
        for version, kind, data in await select.fetch(stream):
            if kind == "Deposited":
                balance += DEPOSITED(data).amount
            else:
                balance -= WITHDRAWN(data).amount
            last = version
        if balance < EVENTS_BEFORE:
            raise ValueError("the balance is too low")
        row = ENCODE(Withdrawn(EVENTS_BEFORE))
        await insert.fetch(stream, last + 1, "Withdrawn", 1, row, META, RECORDED_AT)
    finally:
        pool.give_back(statements)


def eventsourcing(
    server: BenchServer, commands: int, seconds: float, settings: list[tuple[int, bool]]
) -> Sample:
    """Let eventsourcing do it with each setting; the best of them counts."""
    runs = []
    for threads, by_function in settings:
        with server.new_database() as database:
            runs.append(
                run_peer(
                    "eventsourcing_postgres_commands",
                    **database,
                    commands=commands,
                    events_before=EVENTS_BEFORE,
                    threads=threads,
                    by_function=by_function,
                    seconds=seconds,
                )
            )
    best = max(runs, key=lambda run: run["rate"])
    return Sample(best["rate"], best["cpu_us"], {**best, "runs": runs})
