"""The same order lines in an SQLite file, written through diptych's log."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec

from benchmarks.diptych_cart import ItemAdded
from benchmarks.events import META
from benchmarks.order_lines import LINES_PER_CART, NOTE, order_lines
from diptych.adapters.sqlite.event_log import SqliteEventLog
from diptych.events.log import Append, EventToStore, StreamAppend

BLOCK = LINES_PER_CART * 10


def fill_log(path: Path, count: int, keys: int) -> None:
    """Write the order lines of `events_file.fill` through the log."""

    async def run() -> None:
        log = SqliteEventLog(path)
        await log.open()
        try:
            blocks = iter_blocks(count, keys)
            await asyncio.gather(*(writer(log, blocks) for _ in range(32)))
        finally:
            await log.close()

    asyncio.run(run())


async def writer(log: SqliteEventLog, blocks: Iterator[Append]) -> None:
    """Append blocks until there are no more; several writers share one iterator."""
    for block in blocks:
        await log.append(block)


def iter_blocks(count: int, keys: int) -> Iterator[Append]:
    """Yield ten carts of ten lines at a time, each block one append."""
    encode = msgspec.json.Encoder().encode
    carts: dict[str, list[EventToStore]] = {}
    for number, line in enumerate(order_lines(count, keys), 1):
        data = encode(ItemAdded(line.sku, line.qty, line.price, NOTE))
        carts.setdefault(line.cart, []).append(EventToStore("ItemAdded", 1, data, META))
        if number % BLOCK == 0 or number == count:
            yield Append(tuple(StreamAppend(cart, 0, tuple(es)) for cart, es in carts.items()))
            carts.clear()
