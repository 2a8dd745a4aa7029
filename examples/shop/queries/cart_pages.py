"""The cart page: what lies in one cart."""

from __future__ import annotations

from datetime import datetime

import msgspec

from diptych import Projection, Query, Reader, ReadModel
from diptych_examples.shop.messages.events import CartCheckedOut, ItemAddedToCart


class CartLine(msgspec.Struct, gc=False):
    """One product at one price."""

    stock_code: str
    name: str
    quantity: int
    unit_price_pence: int


class CartPage(ReadModel, key="cart_id"):
    """One cart."""

    cart_id: str
    customer_id: str = ""
    lines: list[CartLine] = []
    pieces: int = 0
    total_pence: int = 0
    last_updated: datetime | None = None
    checked_out: bool = False


class CartPages(Projection[CartPage]):
    """A line per product and price, as the cart itself counts."""

    def item_added(self, page: CartPage, event: ItemAddedToCart) -> None:
        """The same again makes a line longer."""
        page.customer_id = event.customer_id
        page.pieces += event.quantity
        page.total_pence += event.quantity * event.unit_price_pence
        page.last_updated = event.at
        for line in page.lines:
            same_price = line.unit_price_pence == event.unit_price_pence
            if line.stock_code == event.stock_code and same_price:
                line.quantity += event.quantity
                return
        page.lines.append(
            CartLine(event.stock_code, event.name, event.quantity, event.unit_price_pence)
        )

    def checked_out(self, page: CartPage, event: CartCheckedOut) -> None:
        """It is an order now."""
        page.checked_out = True
        page.last_updated = event.at


class GetCart(Query[CartPage | None]):
    """What lies in this cart?"""

    cart_id: str


async def get_cart(query: GetCart, carts: Reader[CartPage]) -> CartPage | None:
    """One row."""
    return await carts.get(query.cart_id)
