"""A capture beside an application that writes the same tables itself."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from diptych import App, Command, Event, Projection, ReadModel
from diptych.adapters.postgres.capture import Capture
from diptych.adapters.sqlalchemy import Outbox, engine_for
from diptych.events.capture import RowChange, captures


class PlaceOrder(Command):
    order_id: int


class OrderPlaced(Event, stream="order-{order_id}"):
    order_id: int
    by: str


async def place_order(command: PlaceOrder, session: AsyncSession) -> OrderPlaced:
    await session.execute(
        text("INSERT INTO orders (id) VALUES (:order_id)"), {"order_id": command.order_id}
    )
    return OrderPlaced(command.order_id, "us")


@captures("orders")
def order_changes(change: RowChange) -> OrderPlaced | None:
    return OrderPlaced(change.key["id"], "others") if change.operation == "insert" else None


class Source(ReadModel, key="by"):
    by: str
    orders: list[int] = []


class Sources(Projection[Source]):
    def placed(self, row: Source, event: OrderPlaced) -> None:
        row.orders.append(event.order_id)


async def test_every_order_is_told_once_whoever_wrote_it(url, database):
    app = App("shop", [place_order, Sources], write=url)
    engine = engine_for(url)
    async with app, Capture(url, app.log, [order_changes]) as capture:
        await capture.caught_up()
        for number in range(0, 30, 3):
            await app.dispatch(PlaceOrder(number))
            await database.execute("INSERT INTO orders (id) VALUES ($1)", number + 1)
            insert = text(f"INSERT INTO orders (id) VALUES ({number + 2})")
            async with (
                AsyncSession(engine) as session,
                Outbox(app.log).unit_of_work(session) as work,
            ):
                await session.execute(insert)
                work.record(OrderPlaced(number + 2, "us"))
        await capture.caught_up()
        await app.settle(20)
        rows = (await app.sources[Sources].store.load("sources", ["us", "others"])).rows
    await engine.dispose()
    assert sorted(rows["us"].value.orders) == sorted([*range(0, 30, 3), *range(2, 30, 3)])
    assert rows["others"].value.orders == list(range(1, 30, 3))
