"""A projection into SQLite with eventsource-py, from the first event, at its defaults.

This is its documented way to a durable read model: a `DatabaseProjection` whose handler gets the
connection of the transaction, fed by a `SubscriptionManager` that saves the position after each
batch of 100. Both in the file of the events, so that nothing else is needed. The subscription's
checkpoint is the only one: a second, per event, in the projection itself would only slow it down.
"""

import asyncio
import json
import logging
import sys
import time
from importlib.metadata import version
from typing import Any
from uuid import uuid4

from eventsource import (
    DatabaseProjection,
    DomainEvent,
    InMemoryEventBus,
    SQLCheckpointRepository,
    SQLiteEventStore,
    handles,
    register_event,
)
from eventsource.application.subscriptions import SubscriptionConfig, SubscriptionManager
from eventsource.domain import StreamId
from eventsource.ports import ExpectedVersion
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, async_sessionmaker, create_async_engine

from benchmarks.order_lines import NOTE, OrderLine, order_lines

READ_MODEL = """
CREATE TABLE sales (sku TEXT PRIMARY KEY, lines INTEGER, pieces INTEGER, turnover REAL)
"""
UPSERT = """
INSERT INTO sales VALUES (:sku, 1, :qty, :turnover) ON CONFLICT (sku) DO UPDATE SET
    lines = lines + 1,
    pieces = pieces + excluded.pieces,
    turnover = turnover + excluded.turnover
"""


@register_event
class ItemAdded(DomainEvent):
    """A line of a cart."""

    event_type: str = "ItemAdded"
    aggregate_type: str = "Cart"
    sku: str
    qty: int
    price: float
    note: str


class Sales(DatabaseProjection):
    """Lines, pieces and turnover per article."""

    @handles(ItemAdded)
    async def item_added(self, conn: AsyncConnection, event: ItemAdded) -> None:
        """Add one line."""
        await conn.execute(
            text(UPSERT),
            {"sku": event.sku, "qty": event.qty, "turnover": event.qty * event.price},
        )


async def seed(store: SQLiteEventStore, events: int, keys: int) -> None:
    """Append the order lines, cart by cart."""
    carts: dict[str, list[OrderLine]] = {}
    for line in order_lines(events, keys):
        carts.setdefault(line.cart, []).append(line)
    for lines in carts.values():
        cart = uuid4()
        await store.append(
            StreamId(aggregate_id=cart, category="Cart"),
            [
                ItemAdded(
                    aggregate_id=cart,
                    aggregate_version=line.version,
                    sku=line.sku,
                    qty=line.qty,
                    price=line.price,
                    note=NOTE,
                )
                for line in lines
            ],
            ExpectedVersion.no_stream(),
        )


async def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Seed a log, then let the subscription catch up until it is done or time is up."""
    store = SQLiteEventStore(options["path"])
    await seed(store, options["events"], options["keys"])
    engine = create_async_engine(f"sqlite+aiosqlite:///{options['path']}")
    async with engine.begin() as conn:
        await conn.execute(text(READ_MODEL))
    async with engine.connect() as conn:
        pragmas = {
            name: (await conn.execute(text(f"PRAGMA {name}"))).scalar_one()
            for name in ("journal_mode", "synchronous")
        }

    async def projected() -> int:
        async with engine.connect() as conn:
            total = await conn.execute(text("SELECT coalesce(sum(lines), 0) FROM sales"))
            return int(total.scalar_one())

    manager = SubscriptionManager(store, InMemoryEventBus(), SQLCheckpointRepository(engine))
    projection = Sales(async_sessionmaker(engine, expire_on_commit=False))
    subscription = await manager.subscribe(
        projection, SubscriptionConfig(start_from="beginning"), name="sales"
    )
    wall, cpu = time.perf_counter(), time.process_time()
    catching_up = asyncio.create_task(manager.start())
    while subscription.events_processed < options["events"]:
        if time.perf_counter() - wall > options["seconds"]:
            break
        await asyncio.sleep(0.02)
    done = subscription.events_processed
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    await manager.stop()
    await asyncio.wait([catching_up], timeout=10)
    in_read_model = await projected()
    await engine.dispose()
    await store.close()
    if in_read_model < done:
        raise RuntimeError(f"{done} events reported, {in_read_model} in the read model")
    return {"rate": done / wall, "cpu_us": cpu * 1e6 / done, "events": done, **pragmas}


def main() -> None:
    """Measure and print."""
    logging.disable(logging.CRITICAL)
    answer = asyncio.run(measure(json.loads(sys.argv[1])))
    print(json.dumps({**answer, "eventsource-py": version("eventsource-py")}))


if __name__ == "__main__":
    main()
