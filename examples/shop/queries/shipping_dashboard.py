"""The shipping dashboard: which parcels wait, the oldest first."""

from __future__ import annotations

from datetime import datetime

import msgspec

from diptych import Projection, Query, Reader, ReadModel
from diptych_examples.shop.messages.events import OrderPlaced, OrderShipped


class WaitingOrder(ReadModel, key="order_id", indexes=("placed_at", "country")):
    """An order whose parcel has not left; its row is gone once it has."""

    order_id: str
    customer_name: str
    country: str
    pieces: int
    placed_at: datetime


class WaitingOrders(Projection[WaitingOrder]):
    """A row from placing to shipping."""

    def placed(self, waiting: WaitingOrder | None, event: OrderPlaced) -> WaitingOrder:
        """Something to pack."""
        return WaitingOrder(
            event.order_id, event.customer_name, event.country, event.pieces, event.at
        )

    def shipped(self, waiting: WaitingOrder | None, event: OrderShipped) -> WaitingOrder | None:
        """Done."""
        return None


class ShippingDashboard(msgspec.Struct, frozen=True):
    """How many parcels wait, and which to pack next."""

    waiting: int
    next: list[WaitingOrder]


class GetShippingDashboard(Query[ShippingDashboard]):
    """What is there to pack?"""

    limit: int = 20


async def get_shipping_dashboard(
    query: GetShippingDashboard, orders: Reader[WaitingOrder]
) -> ShippingDashboard:
    """Two looks at the same rows."""
    oldest = await orders.find(order_by="placed_at", limit=query.limit)
    return ShippingDashboard(await orders.count(), oldest)
