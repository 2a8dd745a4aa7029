"""Abandoned carts: filled, never checked out, and nobody came back."""

from __future__ import annotations

from datetime import datetime

from diptych import Projection, Query, Reader, ReadModel
from diptych_examples.shop.messages.events import CartCheckedOut, ItemAddedToCart


class OpenCart(ReadModel, key="cart_id", indexes=("last_added_at",)):
    """One cart that was not checked out; its row is gone once it was."""

    cart_id: str
    customer_id: str
    pieces: int
    total_pence: int
    last_added_at: datetime


class OpenCarts(Projection[OpenCart]):
    """A row from the first item to the check-out."""

    def item_added(self, cart: OpenCart | None, event: ItemAddedToCart) -> OpenCart:
        """The clock of this cart starts anew."""
        return OpenCart(
            event.cart_id,
            event.customer_id,
            event.quantity + (cart.pieces if cart else 0),
            event.quantity * event.unit_price_pence + (cart.total_pence if cart else 0),
            event.at,
        )

    def checked_out(self, cart: OpenCart | None, event: CartCheckedOut) -> OpenCart | None:
        """Not abandoned."""
        return None


class FindAbandonedCarts(Query[list[OpenCart]]):
    """Which carts were left alone since then? The longest abandoned first."""

    since: datetime
    limit: int = 20


async def find_abandoned_carts(
    query: FindAbandonedCarts, carts: Reader[OpenCart]
) -> list[OpenCart]:
    """By the index on the last item."""
    return await carts.find(
        last_added_at__lt=query.since, order_by="last_added_at", limit=query.limit
    )
