"""Logs of the order lines, written the quick way: COPY into the tables that diptych made.

What is in the tables afterwards is what as many appends would have left there: dense positions,
dense versions, nothing else. One real append at the end shows that diptych agrees.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import msgspec

from benchmarks.diptych_cart import STORED
from benchmarks.events import META, RECORDED_AT, ItemAdded
from benchmarks.order_lines import LINES_PER_CART, NOTE, cart_id, order_lines
from benchmarks.postgres.events_table import COLUMNS, connect
from benchmarks.postgres.server import Schema
from diptych.adapters.postgres.event_log import PostgresEventLog
from diptych.events.log import Append, StreamAppend

ROWS_A_COPY = 50_000


def fill(schema: Schema, count: int, keys: int) -> int:
    """Write `count` order lines over `keys` articles, and append one more; returns the head."""

    async def run() -> int:
        log = PostgresEventLog(schema.url)
        await log.open()
        try:
            await copy(schema, rows(count, keys))
            return await append_one(log, count)
        finally:
            await log.close()

    return asyncio.run(run())


async def copy(schema: Schema, all_rows: Iterator[tuple[Any, ...]]) -> None:
    """Write the rows, and leave the table as one that has been in use: vacuumed, analyzed."""
    connection = await connect(schema)
    try:
        while some := list(itertools.islice(all_rows, ROWS_A_COPY)):
            await connection.copy_records_to_table(
                "events", records=some, columns=("position", *COLUMNS), schema_name=schema.name
            )
        await connection.execute("VACUUM (ANALYZE) events")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


async def append_one(log: PostgresEventLog, count: int) -> int:
    """Append to the last cart, as anybody would."""
    cart = cart_id((count - 1) // LINES_PER_CART)
    append = Append((StreamAppend(cart, LINES_PER_CART, (STORED,)),))
    appended = await log.append(append)
    line = (await log.read_stream(cart))[-1]
    if (appended.last, line.position, line.version) != (count + 1, count + 1, LINES_PER_CART + 1):
        raise ValueError(f"an append after {count} copied events went to {appended}, {line}")
    return appended.last


def rows(count: int, keys: int) -> Iterator[tuple[Any, ...]]:
    """Yield what the table holds, in the order of positions."""
    encode = msgspec.json.Encoder().encode
    for position, line in enumerate(order_lines(count, keys), 1):
        data = encode(ItemAdded(line.sku, line.qty, line.price, NOTE))
        yield position, line.cart, line.version, "ItemAdded", 1, data, META, RECORDED_AT
