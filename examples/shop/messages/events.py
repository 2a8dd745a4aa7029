"""What has happened in the shop. An event carries all that the right panel needs."""

from __future__ import annotations

from datetime import datetime

import msgspec

from diptych import Event


class OrderLine(msgspec.Struct, frozen=True, gc=False):
    """One product of an order, under the name and at the price it was ordered."""

    stock_code: str
    name: str
    quantity: int
    unit_price_pence: int


class CustomerRegistered(Event):
    """An account was opened."""

    customer_id: str
    name: str
    country: str


class ItemsBought(Event):
    """The customer owns these now, and may bring them back: pieces by stock code."""

    customer_id: str
    order_id: str
    pieces: dict[str, int]


class ItemsReturned(Event):
    """Goods came back and the money was given back."""

    return_id: str
    customer_id: str
    country: str
    stock_code: str
    quantity: int
    refund_pence: int
    at: datetime


class ProductListed(Event):
    """A product is on offer."""

    stock_code: str
    name: str
    stocked: bool


class StockReceived(Event):
    """Goods came in."""

    stock_code: str
    quantity: int
    note: str
    at: datetime


class StockWrittenOff(Event):
    """Goods are gone without having been sold."""

    stock_code: str
    quantity: int
    note: str
    at: datetime


class ItemAddedToCart(Event):
    """An offer lies in the cart."""

    cart_id: str
    customer_id: str
    country: str
    stock_code: str
    name: str
    quantity: int
    unit_price_pence: int
    at: datetime


class CartCheckedOut(Event):
    """The cart became an order; nothing can be added any more."""

    cart_id: str
    at: datetime


class OrderPlaced(Event):
    """An order, complete: a later change of the customer's name does not change it."""

    order_id: str
    customer_id: str
    customer_name: str
    country: str
    lines: tuple[OrderLine, ...]
    pieces: int
    total_pence: int
    at: datetime


class OrderShipped(Event):
    """The parcel left the house."""

    order_id: str
    customer_id: str
    at: datetime
