"""The order summary: everything about one order in one row, with the names as they were then."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from diptych import Projection, Query, Reader, ReadModel
from diptych_examples.shop.messages.events import OrderPlaced, OrderShipped


class OrderSummary(ReadModel, key="order_id", indexes=("customer_id", "placed_at", "total_pence")):
    """One order."""

    order_id: str
    customer_id: str
    customer_name: str
    country: str
    placed_at: datetime
    total_pence: int
    item_count: int
    product_names: tuple[str, ...]
    status: Literal["placed", "shipped"] = "placed"
    shipped_at: datetime | None = None


class OrderSummaries(Projection[OrderSummary]):
    """One row per order, written when it is placed and when it is shipped."""

    def placed(self, summary: OrderSummary | None, event: OrderPlaced) -> OrderSummary:
        """Copy what the screen shows, so that it needs no join."""
        return OrderSummary(
            event.order_id,
            event.customer_id,
            event.customer_name,
            event.country,
            event.at,
            event.total_pence,
            event.pieces,
            tuple(dict.fromkeys(line.name for line in event.lines)),
        )

    def shipped(self, summary: OrderSummary | None, event: OrderShipped) -> OrderSummary | None:
        """An order was placed before it is shipped, so the row is there."""
        if summary is not None:
            summary.status = "shipped"
            summary.shipped_at = event.at
        return summary


class GetOrder(Query[OrderSummary | None]):
    """What was ordered?"""

    order_id: str


class FindLargestOrders(Query[list[OrderSummary]]):
    """Which orders brought the most money?"""

    limit: int = 10


async def get_order(query: GetOrder, orders: Reader[OrderSummary]) -> OrderSummary | None:
    """One row."""
    return await orders.get(query.order_id)


async def find_largest_orders(
    query: FindLargestOrders, orders: Reader[OrderSummary]
) -> list[OrderSummary]:
    """By the index on the total."""
    return await orders.find(order_by="-total_pence", limit=query.limit)
