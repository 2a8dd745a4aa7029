"""The orders of one customer, newest first."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from diptych import Projection, Query, Reader, ReadModel, keyed_by
from diptych_examples.shop.messages.commands import GUEST
from diptych_examples.shop.messages.events import OrderPlaced, OrderShipped


class OrderEntry(msgspec.Struct, gc=False):
    """One order in the list."""

    order_id: str
    placed_at: datetime
    pieces: int
    total_pence: int
    shipped: bool = False


class CustomerOrders(ReadModel, key="customer_id"):
    """The list of one customer. Guests have none."""

    customer_id: str
    orders: list[OrderEntry] = []


def customer_of(event: OrderPlaced | OrderShipped) -> Iterable[str]:
    """The customer whose list an event changes."""
    return () if event.customer_id == GUEST else (event.customer_id,)


class OrdersOfCustomers(Projection[CustomerOrders]):
    """One list per customer."""

    @keyed_by(customer_of)
    def placed(self, row: CustomerOrders, event: OrderPlaced) -> None:
        """The newest goes on top."""
        entry = OrderEntry(event.order_id, event.at, event.pieces, event.total_pence)
        row.orders.insert(0, entry)

    @keyed_by(customer_of)
    def shipped(self, row: CustomerOrders, event: OrderShipped) -> None:
        """Tick it off."""
        for order in row.orders:
            if order.order_id == event.order_id:
                order.shipped = True
                return


class GetCustomerOrders(Query[CustomerOrders | None]):
    """What did this customer order?"""

    customer_id: str


async def get_customer_orders(
    query: GetCustomerOrders, orders: Reader[CustomerOrders]
) -> CustomerOrders | None:
    """One row."""
    return await orders.get(query.customer_id)
