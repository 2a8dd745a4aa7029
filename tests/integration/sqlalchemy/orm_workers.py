"""What other processes do in these tests: `python orm_workers.py <task> <url> ...`."""

# ruff: noqa: T201  printing is how they say where they stand

from __future__ import annotations

import asyncio
import sys

from orm_shop import SHOP, TABLES, Add, OrderRow, PlaceOrder, log_at
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from diptych import App, Event
from diptych.adapters.sqlalchemy import Outbox, engine_for


class Told(Event, stream="told-{by}"):
    by: str
    number: int


async def place_orders(url: str, name: str, count: str) -> None:
    """Place orders, and say so after each answer."""
    async with App("shop", SHOP, write=url, tables=TABLES) as app:
        for number in range(int(count)):
            order = f"{name}-{number}"
            await app.dispatch(PlaceOrder(order), id=order)
            print(order, flush=True)


async def fill_cart(url: str, cart: str, count: str) -> None:
    """Add to one cart, together with whoever else does."""
    async with App("shop", SHOP, write=url, tables=TABLES) as app:
        for _ in range(int(count)):
            await app.dispatch(Add(cart, "tea"))
    print("done", flush=True)


async def insert_rows(url: str, name: str, count: str) -> None:
    """Insert rows with an event each, by the outbox."""
    log, engine = log_at(url), engine_for(url)
    await log.open()
    outbox = Outbox(log)
    for number in range(int(count)):
        async with AsyncSession(engine) as session, outbox.unit_of_work(session) as work:
            values = {
                "order_id": f"{name}-{number}",
                "customer": name,
                "number": hash_of(name, number),
            }
            await session.execute(insert(OrderRow).values(values))
            work.record(Told(name, number))
    await engine.dispose()
    await log.close()
    print("done", flush=True)


async def stop_between(url: str, step: str) -> None:
    """Write a row, append an event, commit; say where it stands, and wait there to be killed."""
    log, engine = log_at(url), engine_for(url)
    await log.open()
    outbox = Outbox(log)

    async def here(name: str) -> None:
        if name == step:
            print(name, flush=True)
            await asyncio.sleep(1_000)

    own = log.append_within

    async def append_within(transaction, append):
        done = await own(transaction, append)
        await here("appended")
        return done

    log.append_within = append_within
    async with AsyncSession(engine) as session, outbox.unit_of_work(session) as work:
        session.add(OrderRow(order_id="o-1", customer="ada", number=1))
        await session.flush()
        await here("inserted")
        work.record(Told("o-1", 1))
    await here("committed")


def hash_of(name: str, number: int) -> int:
    """A number that no other process takes."""
    return sum(map(ord, name)) * 100_000 + number


if __name__ == "__main__":
    task, *arguments = sys.argv[1:]
    asyncio.run(globals()[task](*arguments))
