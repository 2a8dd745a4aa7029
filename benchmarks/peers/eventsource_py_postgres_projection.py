"""A projection into PostgreSQL with eventsource-py, from the first event.

As on SQLite: a `DatabaseProjection` whose handler gets the connection of the transaction, fed by
a `SubscriptionManager` that saves the position after each batch, over the same asyncpg engine as
its `PostgreSQLEventStore`. Tried with each batch size that was asked for; the best of them counts.
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
    PostgreSQLEventStore,
    SQLCheckpointRepository,
    handles,
    register_event,
)
from eventsource.application.subscriptions import SubscriptionConfig, SubscriptionManager
from eventsource.domain import StreamId
from eventsource.migrations import get_all_schemas
from eventsource.ports import ExpectedVersion
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    async_sessionmaker,
    create_async_engine,
)

from benchmarks.order_lines import NOTE, OrderLine, order_lines

BATCH_SIZES = (100, 1_000)
READ_MODEL = """
CREATE TABLE sales (
    sku text PRIMARY KEY, lines bigint, pieces bigint, turnover double precision
)
"""
UPSERT = """
INSERT INTO sales VALUES (:sku, 1, :qty, :turnover) ON CONFLICT (sku) DO UPDATE SET
    lines = sales.lines + 1,
    pieces = sales.pieces + excluded.pieces,
    turnover = sales.turnover + excluded.turnover
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


async def seed(store: PostgreSQLEventStore, events: int, keys: int) -> None:
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


async def make_tables(engine: AsyncEngine) -> None:
    """Make the peer's own tables, by its own script, and the read model's."""
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        await raw.driver_connection.execute(get_all_schemas())
        await raw.driver_connection.execute(READ_MODEL)


async def project(
    engine: AsyncEngine, store: PostgreSQLEventStore, batch_size: int, options: dict[str, Any]
) -> dict[str, Any]:
    """Let a subscription catch up until it is done or time is up."""
    async with engine.begin() as connection:
        await connection.execute(text("TRUNCATE sales"))
    manager = SubscriptionManager(store, InMemoryEventBus(), SQLCheckpointRepository(engine))
    subscription = await manager.subscribe(
        Sales(async_sessionmaker(engine, expire_on_commit=False)),
        SubscriptionConfig(start_from="beginning", batch_size=batch_size),
        name=f"sales-{batch_size}",
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
    async with engine.connect() as connection:
        total = await connection.execute(text("SELECT coalesce(sum(lines), 0) FROM sales"))
        in_read_model = int(total.scalar_one())
    if in_read_model < done:
        raise RuntimeError(f"{done} events reported, {in_read_model} in the read model")
    return {
        "batch_size": batch_size,
        "rate": done / wall,
        "cpu_us": cpu * 1e6 / done,
        "events": done,
    }


async def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Seed a log, then project it with each batch size."""
    url = URL.create(
        "postgresql+asyncpg",
        options["user"],
        options["password"],
        options["host"],
        int(options["port"]),
        options["dbname"],
    )
    engine = create_async_engine(url)
    await make_tables(engine)
    store = PostgreSQLEventStore(engine)
    await seed(store, options["events"], options["keys"])
    runs = [await project(engine, store, size, options) for size in BATCH_SIZES]
    await store.close()
    await engine.dispose()
    return {**max(runs, key=lambda run: run["rate"]), "runs": runs}


def main() -> None:
    """Measure and print."""
    logging.disable(logging.CRITICAL)
    answer = asyncio.run(measure(json.loads(sys.argv[1])))
    print(json.dumps({**answer, "eventsource-py": version("eventsource-py")}))


if __name__ == "__main__":
    main()
