"""A read model of order lines beside its log: the least work, by hand, and by diptych."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec

from benchmarks.clocks import stopwatch
from benchmarks.diptych_cart import ArticleSales, Cart, Sales
from benchmarks.events import ItemAdded
from benchmarks.measuring import Sample
from benchmarks.postgres.events_table import READ_ALL, connect
from benchmarks.postgres.server import Schema
from diptych import App

BATCH = 5_000

READ_MODEL = """
CREATE TABLE IF NOT EXISTS by_hand (
    sku text COLLATE "C" PRIMARY KEY, lines bigint, pieces bigint, turnover double precision
);
CREATE TABLE IF NOT EXISTS by_hand_checkpoint (id int PRIMARY KEY, position bigint);
"""
LOAD = "SELECT sku, lines, pieces, turnover FROM by_hand WHERE sku = ANY ($1)"
STORE = """
INSERT INTO by_hand
SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::double precision[])
ON CONFLICT (sku) DO UPDATE
SET lines = excluded.lines, pieces = excluded.pieces, turnover = excluded.turnover
"""
MOVE = """
INSERT INTO by_hand_checkpoint VALUES (1, $1)
ON CONFLICT (id) DO UPDATE SET position = excluded.position
"""
STEP_BACK = "UPDATE checkpoints SET position = position - $1 WHERE projection = 'sales'"


async def batches(connection: asyncpg.Connection) -> AsyncIterator[list[tuple[int, ItemAdded]]]:
    """Read the whole log from the first event, decoded, in batches."""
    decode = msgspec.json.Decoder(ItemAdded).decode
    select = await connection.prepare(READ_ALL)
    position = 0
    while found := await select.fetch(position, BATCH):
        batch = [(row[0], decode(row[4])) for row in found]
        position = batch[-1][0]
        yield batch


def reading(schema: Schema, times: int) -> Sample:
    """Read and decode, nothing else: no projection can be faster than this."""

    async def run() -> Sample:
        connection = await connect(schema)
        events = 0
        with stopwatch() as watch:
            for _ in range(times):
                async for batch in batches(connection):
                    events += len(batch)
        await connection.close()
        return watch.rate(events)

    return asyncio.run(run())


def folding(schema: Schema, times: int) -> Sample:
    """Load, fold and write each batch by key, with the checkpoint in one transaction."""

    async def run() -> Sample:
        log, read = await connect(schema), await connect(schema)
        await read.execute(READ_MODEL)
        # The plans are made while the table is empty and kept: it must not be scanned then.
        await read.execute("SET enable_seqscan = off")
        events = 0
        with stopwatch() as watch:
            for _ in range(times):
                await read.execute("TRUNCATE by_hand")
                async for batch in batches(log):
                    await fold(read, batch)
                    events += len(batch)
        await log.close()
        await read.close()
        return watch.rate(events)

    return asyncio.run(run())


async def fold(read: asyncpg.Connection, batch: list[tuple[int, ItemAdded]]) -> None:
    """Bring the read model past a batch."""
    keys = sorted({event.sku for _, event in batch})
    async with read.transaction():
        sales: dict[str, list[Any]] = {key: [key, 0, 0, 0.0] for key in keys}
        for row in await read.fetch(LOAD, keys):
            sales[row[0]] = list(row)
        for _, event in batch:
            sale = sales[event.sku]
            sale[1] += 1
            sale[2] += event.qty
            sale[3] += event.qty * event.price
        await read.execute(STORE, *map(list, zip(*sales.values(), strict=True)))
        await read.execute(MOVE, batch[-1][0])


def rebuilding(schema: Schema, times: int) -> Sample:
    """Rebuild a read model from the first event, beside the log, effect once."""

    async def run() -> Sample:
        app = App("bench", [Cart, Sales], write=schema.url)
        await app.open(projections=False)
        try:
            with stopwatch() as watch:
                for _ in range(times):
                    await app.rebuild(Sales, in_place=True)
            return watch.rate(await projected(app) * times)
        finally:
            await app.close()

    return asyncio.run(run())


def catching_up(schema: Schema, events: int) -> Sample:
    """Let the running projection fold the last `events` of the log, into rows that are there."""

    async def run() -> Sample:
        # Counted twice, which nobody looks at; the work is that of new events.
        async with App("bench", [Cart, Sales], write=schema.url) as app:
            await app.settle(within_s=600)
        connection = await connect(schema)
        await connection.execute(STEP_BACK, events)
        await connection.close()
        app = App("bench", [Cart, Sales], write=schema.url)
        try:
            with stopwatch() as watch:
                await app.open()
                await app.settle(within_s=600)
            await projected(app)
            return watch.rate(events)
        finally:
            await app.close()

    return asyncio.run(run())


async def projected(app: App) -> int:
    """Check that the read model stands at the head, and say where that is."""
    found = await app.sources[ArticleSales].store.checkpoint("sales")
    head = await app.log.head()
    if found.position != head:
        raise ValueError(f"the read model is at {found.position}, the log at {head}")
    return head
