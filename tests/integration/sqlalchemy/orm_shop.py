"""A small shop in tables: orders by an ORM, carts mapped by names, both with events."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from sqlalchemy import Column, ForeignKey, Integer, String, Table, UniqueConstraint, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from diptych import Aggregate, Command, Event, Rejection, UnitOfWork
from diptych.adapters.postgres.event_log import PostgresEventLog
from diptych.adapters.sqlalchemy import engine_for, mapped
from diptych.adapters.sqlite.event_log import SqliteEventLog


class Base(DeclarativeBase):
    pass


class OrderRow(Base):
    __tablename__ = "orders"
    __table_args__ = (UniqueConstraint("number"),)

    order_id: Mapped[str] = mapped_column(primary_key=True)
    customer: Mapped[str]
    number: Mapped[int]


class StockRow(Base):
    __tablename__ = "stock"

    item: Mapped[str] = mapped_column(primary_key=True)
    left: Mapped[int]


class PlaceOrder(Command):
    order_id: str
    customer: str = "ada"
    item: str = "tea"


class OrderPlaced(Event, stream="order-{order_id}"):
    order_id: str
    number: int


class Deliver(Command):
    item: str
    count: int


class SoldOut(Rejection):
    code = "sold_out"


async def place_order(command: PlaceOrder, session: AsyncSession) -> OrderPlaced:
    """Read, think, write: the ordinary handler of a team with an ORM."""
    stock = await session.get(StockRow, command.item, with_for_update=True)
    if stock is None or not stock.left:
        raise SoldOut("nothing left", item=command.item)
    stock.left -= 1
    await asyncio.sleep(0)
    last = await session.scalar(select(func.coalesce(func.max(OrderRow.number), 0)))
    row = OrderRow(order_id=command.order_id, customer=command.customer, number=last + 1)
    session.add(row)
    return OrderPlaced(command.order_id, row.number)


async def deliver(command: Deliver, session: AsyncSession) -> None:
    stock = await session.get(StockRow, command.item)
    if stock is None:
        session.add(StockRow(item=command.item, left=command.count))
    else:
        stock.left += command.count


class Add(Command):
    cart_id: str
    item: str
    quantity: int = 1


class Take(Command):
    cart_id: str
    item: str


class Added(Event, tags=("cart_id",)):
    cart_id: str
    item: str
    quantity: int


class Taken(Event):
    cart_id: str
    item: str
    quantity: int


class Cart(Aggregate, key="cart_id"):
    items: dict[str, int] = {}
    changes: int = 0

    def add(self, command: Add) -> Added | None:
        if command.quantity < 0:
            raise Rejection("a cart holds things, not debts")
        return Added(command.cart_id, command.item, command.quantity) if command.quantity else None

    def take(self, command: Take) -> Taken:
        if command.item not in self.items:
            raise Rejection("it is not there")
        return Taken(command.cart_id, command.item, 1)

    def added(self, event: Added) -> None:
        self.items[event.item] = self.items.get(event.item, 0) + event.quantity
        self.changes += 1

    def taken(self, event: Taken) -> None:
        left = self.items.pop(event.item) - event.quantity
        if left:
            self.items[event.item] = left
        self.changes += 1


class Move(Command):
    source: str
    target: str
    item: str


async def move(command: Move, work: UnitOfWork) -> None:
    """One decision over two carts."""
    source = await work.load(Cart, command.source)
    if command.item not in source.items:
        raise Rejection("it is not there")
    await work.record(Cart, command.source, Taken(command.source, command.item, 1))
    await work.decide(Cart, command.target, Add(command.target, command.item))


carts = Table(
    "carts",
    Base.metadata,
    Column("cart_id", String, primary_key=True),
    Column("version", Integer, nullable=False, server_default="0"),
    Column("changes", Integer, nullable=False),
)
cart_items = Table(
    "cart_items",
    Base.metadata,
    Column("cart_id", ForeignKey("carts.cart_id"), primary_key=True),
    Column("item", String, primary_key=True),
    Column("quantity", Integer, nullable=False),
)


async def genesis(session: AsyncSession, key: str) -> list[Added]:
    """One event per item, and empty ones for the other changes."""
    found = await session.execute(select(cart_items).where(cart_items.c.cart_id == key))
    told = [Added(key, row.item, row.quantity) for row in found]
    changes = await session.scalar(select(carts.c.changes).where(carts.c.cart_id == key))
    return told + [Added(key, told[0].item, 0)] * (changes - len(told))


SHOP: list[Any] = [Cart, place_order, deliver, move]
TABLES = [mapped(Cart, carts, items=cart_items)]


def log_at(url: str) -> Any:
    return SqliteEventLog(url) if url.startswith("sqlite") else PostgresEventLog(url)


async def prepare(url: str) -> None:
    """Make the log and the tables."""
    log = log_at(url)
    await log.open()  # on PostgreSQL this makes the schema, which the tables share here
    engine = engine_for(url)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    await engine.dispose()
    await log.close()


async def rows(url: str, table: Any) -> list[Any]:
    engine = engine_for(url)
    async with engine.connect() as connection:
        found = (await connection.execute(select(table))).all()
    await engine.dispose()
    return sorted(tuple(row) for row in found)


async def pause(chance: random.Random) -> None:
    """Give others a random number of turns."""
    for _ in range(chance.randrange(20)):
        await asyncio.sleep(0)
