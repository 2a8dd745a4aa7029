"""A cart: offers are put in until it is checked out."""

from __future__ import annotations

from diptych import Aggregate
from diptych_examples.shop.messages.commands import AddItemToCart
from diptych_examples.shop.messages.events import CartCheckedOut, ItemAddedToCart, OrderLine
from diptych_examples.shop.rejections import (
    Blank,
    CartClosed,
    EmptyCart,
    Impossible,
    OtherCountry,
    UnknownCountry,
)

from .countries import COUNTRIES


class Cart(Aggregate, key="cart_id"):
    """What one customer wants delivered to one country.

    The cart trusts the offer: name and price are what the customer was shown, so that adding an
    item does not have to ask the product.
    """

    customer_id: str = ""
    country: str = ""
    lines: dict[str, OrderLine] = {}
    closed: bool = False

    def add(self, command: AddItemToCart) -> ItemAddedToCart:
        """Put an offer in; the same again makes it more."""
        if not command.name:
            raise Blank("an offer needs a name")
        if command.quantity < 1 or command.unit_price_pence < 0:
            raise Impossible("at least one piece, at a price of zero or more")
        if command.country not in COUNTRIES:
            raise UnknownCountry(
                f"the shop does not deliver to {command.country!r}", country=command.country
            )
        if self.country and command.country != self.country:
            raise OtherCountry(f"this cart goes to {self.country}", country=command.country)
        if self.closed:
            raise CartClosed(f"the cart {command.cart_id} was checked out")
        return ItemAddedToCart(
            command.cart_id,
            command.customer_id,
            command.country,
            command.stock_code,
            command.name,
            command.quantity,
            command.unit_price_pence,
            command.at,
        )

    def to_order(self, cart_id: str) -> tuple[OrderLine, ...]:
        """What a check-out would order. Raises CartClosed, EmptyCart."""
        if self.closed:
            raise CartClosed(f"the cart {cart_id} was checked out")
        if not self.lines:
            raise EmptyCart(f"there is nothing in the cart {cart_id}")
        return tuple(self.lines.values())

    def item_added(self, event: ItemAddedToCart) -> None:
        """One line per product and price."""
        self.customer_id, self.country = event.customer_id, event.country
        key = f"{event.stock_code} at {event.unit_price_pence}"
        before = self.lines.get(key)
        quantity = event.quantity + (before.quantity if before else 0)
        name = before.name if before else event.name
        self.lines[key] = OrderLine(event.stock_code, name, quantity, event.unit_price_pence)

    def checked_out(self, event: CartCheckedOut) -> None:
        """Nothing can be added any more."""
        self.closed = True
