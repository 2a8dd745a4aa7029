"""How the shop's aggregates are loaded from the tables and saved to them. No aggregate knows.

What an aggregate decides with is less than what the tables hold, so `save` goes by the events: each
of them is a row, or a change of one. `genesis` is the way back: the events that would have led to
the rows, for the day on which events are kept (stage 1b and up).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from diptych.adapters.sqlalchemy import TableOf
from diptych_examples.shop.commands.carts import Cart
from diptych_examples.shop.commands.customers import Customer
from diptych_examples.shop.commands.orders import Order
from diptych_examples.shop.commands.products import Product
from diptych_examples.shop.messages.commands import GUEST
from diptych_examples.shop.messages.events import (
    CartCheckedOut,
    CustomerRegistered,
    ItemAddedToCart,
    ItemsBought,
    ItemsReturned,
    OrderPlaced,
    OrderShipped,
    ProductListed,
    StockReceived,
    StockWrittenOff,
)
from diptych_examples.shop.replay.ledger import Ledger

from .rows import lines_of, put, row_of
from .tables import (
    cart_lines,
    carts,
    customers,
    order_lines,
    orders,
    products,
    purchases,
    replays,
    returns,
    stock_movements,
)

__all__ = [
    "MAPPINGS",
    "CartTables",
    "CustomerTables",
    "LedgerTable",
    "OrderTables",
    "ProductTables",
]


class CustomerTables(TableOf[Customer]):
    """The account, what may be brought back, and what was."""

    table = customers

    async def load(self, session: AsyncSession, key: str) -> Customer:
        """Name and pieces."""
        name = await session.scalar(select(customers.c.name).where(customers.c.customer_id == key))
        owned = select(purchases.c.stock_code, purchases.c.pieces)
        pieces = await session.execute(owned.where(purchases.c.customer_id == key))
        return Customer(name=name or "", pieces=dict(pieces.all()))

    async def save(
        self, session: AsyncSession, key: str, customer: Customer, events: Sequence[Any]
    ) -> None:
        """A row per account, per product that it owns, and per return."""
        changed: set[str] = set()
        for event in events:
            match event:
                case CustomerRegistered():
                    account = {"name": event.name, "country": event.country}
                    await put(session, customers, [{"customer_id": key, **account}])
                case ItemsBought():
                    changed.update(event.pieces)
                case ItemsReturned():
                    changed.add(event.stock_code)
                    row = row_of(event, "at", returned_at=event.at)
                    await session.execute(returns.insert(), row)
        pieces = customer.pieces
        rows = [{"customer_id": key, "stock_code": c, "pieces": pieces[c]} for c in sorted(changed)]
        await put(session, purchases, rows)

    async def genesis(self, session: AsyncSession, key: str) -> Iterable[Any]:
        """Registered, then bought order by order, then brought back."""
        account = (
            await session.execute(select(customers).where(customers.c.customer_id == key))
        ).one()
        lines = select(orders.c.order_id, order_lines.c.stock_code, order_lines.c.quantity)
        lines = lines.join_from(orders, order_lines).where(orders.c.customer_id == key)
        bought: dict[str, dict[str, int]] = {}
        for order_id, code, quantity in await session.execute(
            lines.order_by(orders.c.nth, order_lines.c.line)
        ):
            pieces = bought.setdefault(order_id, {})
            pieces[code] = pieces.get(code, 0) + quantity
        back = select(returns).where(returns.c.customer_id == key).order_by(returns.c.number)
        return [
            CustomerRegistered(key, account.name, account.country),
            *(ItemsBought(key, order_id, pieces) for order_id, pieces in bought.items()),
            *(
                ItemsReturned(
                    row.return_id,
                    key,
                    row.country,
                    row.stock_code,
                    row.quantity,
                    row.refund_pence,
                    row.returned_at,
                )
                for row in await session.execute(back)
            ),
        ]


class ProductTables(TableOf[Product]):
    """The catalogue, and goods that came in or got lost."""

    table = products

    async def load(self, session: AsyncSession, key: str) -> Product:
        """Name, and whether it lies on a shelf."""
        wanted = select(products.c.name, products.c.stocked).where(products.c.stock_code == key)
        row = (await session.execute(wanted)).one()
        return Product(name=row.name, stocked=row.stocked)

    async def save(
        self, session: AsyncSession, key: str, product: Product, events: Sequence[Any]
    ) -> None:
        """A row per product, and per movement."""
        for event in events:
            if isinstance(event, ProductListed):
                await put(session, products, [row_of(event)])
            elif isinstance(event, StockReceived | StockWrittenOff):
                kind = "received" if isinstance(event, StockReceived) else "written off"
                row = row_of(event, "at", kind=kind, moved_at=event.at)
                await session.execute(stock_movements.insert(), row)

    async def genesis(self, session: AsyncSession, key: str) -> Iterable[Any]:
        """Listed, then every movement."""
        product = await self.load(session, key)
        moved = select(stock_movements).where(stock_movements.c.stock_code == key)
        return [
            ProductListed(key, product.name, product.stocked),
            *(
                (StockReceived if row.kind == "received" else StockWrittenOff)(
                    key, row.quantity, row.note, row.moved_at
                )
                for row in await session.execute(moved.order_by(stock_movements.c.number))
            ),
        ]


class CartTables(TableOf[Cart]):
    """A cart and its lines."""

    table = carts

    async def load(self, session: AsyncSession, key: str) -> Cart:
        """All of it."""
        row = (await session.execute(select(carts).where(carts.c.cart_id == key))).one()
        lines = {
            f"{line.stock_code} at {line.unit_price_pence}": line
            for line in await lines_of(session, cart_lines, key)
        }
        closed = row.checked_out_at is not None
        return Cart(customer_id=row.customer_id, country=row.country, lines=lines, closed=closed)

    async def save(
        self, session: AsyncSession, key: str, cart: Cart, events: Sequence[Any]
    ) -> None:
        """A row per cart, and per product and price."""
        for event in events:
            if isinstance(event, ItemAddedToCart):
                row = {"customer_id": event.customer_id, "country": event.country}
                await put(session, carts, [{"cart_id": key, **row, "last_added_at": event.at}])
                await put(session, cart_lines, [_line_of(cart, event)])
            elif isinstance(event, CartCheckedOut):
                closing = update(carts).where(carts.c.cart_id == key)
                await session.execute(closing.values(checked_out_at=event.at))

    async def genesis(self, session: AsyncSession, key: str) -> Iterable[Any]:
        """Each line at once, at the time of the last; then the check-out."""
        row = (await session.execute(select(carts).where(carts.c.cart_id == key))).one()
        events: list[Any] = [
            ItemAddedToCart(
                key,
                row.customer_id,
                row.country,
                line.stock_code,
                line.name,
                line.quantity,
                line.unit_price_pence,
                row.last_added_at,
            )
            for line in await lines_of(session, cart_lines, key)
        ]
        if row.checked_out_at is not None:
            events.append(CartCheckedOut(key, row.checked_out_at))
        return events


class OrderTables(TableOf[Order]):
    """An order and its lines."""

    table = orders

    async def load(self, session: AsyncSession, key: str) -> Order:
        """Whose it is, and whether it has left."""
        wanted = select(orders.c.customer_id, orders.c.shipped_at).where(orders.c.order_id == key)
        row = (await session.execute(wanted)).one()
        return Order(customer_id=row.customer_id, shipped=row.shipped_at is not None)

    async def save(
        self, session: AsyncSession, key: str, order: Order, events: Sequence[Any]
    ) -> None:
        """A row per order, and per line."""
        for event in events:
            if isinstance(event, OrderPlaced):
                row = row_of(event, "at", "lines", "pieces", "total_pence", placed_at=event.at)
                nth = None if event.customer_id == GUEST else _next_of(event.customer_id)
                await session.execute(orders.insert().values(**row, nth=nth))
                numbered = enumerate(event.lines, 1)
                rows = [row_of(line, order_id=key, line=number) for number, line in numbered]
                await session.execute(order_lines.insert(), rows)
            elif isinstance(event, OrderShipped):
                sending = update(orders).where(orders.c.order_id == key)
                await session.execute(sending.values(shipped_at=event.at))

    async def genesis(self, session: AsyncSession, key: str) -> Iterable[Any]:
        """Placed, and shipped."""
        row = (await session.execute(select(orders).where(orders.c.order_id == key))).one()
        lines = await lines_of(session, order_lines, key)
        pieces = sum(line.quantity for line in lines)
        total = sum(line.quantity * line.unit_price_pence for line in lines)
        whose = (key, row.customer_id, row.customer_name, row.country)
        placed = OrderPlaced(*whose, tuple(lines), pieces, total, row.placed_at)
        if row.shipped_at is None:
            return [placed]
        return [placed, OrderShipped(key, row.customer_id, row.shipped_at)]


class LedgerTable(TableOf[Ledger]):
    """How far the replay has come. No part of the shop; a state may be a column of JSON, too."""

    table = replays

    async def load(self, session: AsyncSession, key: str) -> Ledger:
        """The newest entry."""
        wanted = select(replays.c.state).where(replays.c.replay_id == key)
        return msgspec.json.decode((await session.scalars(wanted)).one(), type=Ledger)

    async def save(
        self, session: AsyncSession, key: str, ledger: Ledger, events: Sequence[Any]
    ) -> None:
        """Write over it."""
        state = msgspec.json.encode(ledger).decode()
        await put(session, replays, [{"replay_id": key, "state": state}])


MAPPINGS = (CustomerTables, ProductTables, CartTables, OrderTables, LedgerTable)
"""For `App(..., tables=MAPPINGS)`."""


def _line_of(cart: Cart, event: ItemAddedToCart) -> dict[str, Any]:
    """The line that an event has made or made longer."""
    name = f"{event.stock_code} at {event.unit_price_pence}"
    number = list(cart.lines).index(name) + 1
    return row_of(cart.lines[name], cart_id=event.cart_id, line=number)


def _next_of(customer_id: str) -> Any:
    """The number of a customer's next order. The customer is locked, so nobody else takes it."""
    last = func.max(orders.c.nth)
    return (
        select(func.coalesce(last, 0) + 1)
        .where(orders.c.customer_id == customer_id)
        .scalar_subquery()
    )
