"""What somebody wants of the shop."""

from __future__ import annotations

from datetime import datetime

from diptych import Command

GUEST = "guest"
"""The customer id of everybody who buys without an account."""


class RegisterCustomer(Command):
    """Open an account."""

    customer_id: str
    name: str
    country: str


class ListProduct(Command):
    """Offer a product. Postage, fees and vouchers are products without stock."""

    stock_code: str
    name: str
    stocked: bool = True


class ReceiveStock(Command):
    """Goods came in, or were found; the note says where from."""

    stock_code: str
    quantity: int
    note: str
    at: datetime


class WriteOffStock(Command):
    """Goods are lost, broken or given away; the note may say why."""

    stock_code: str
    quantity: int
    note: str
    at: datetime


class AddItemToCart(Command):
    """Put an offer into a cart, at the price and under the name that the customer saw."""

    cart_id: str
    customer_id: str
    country: str
    stock_code: str
    name: str
    quantity: int
    unit_price_pence: int
    at: datetime


class CheckOut(Command):
    """Order what is in the cart."""

    cart_id: str
    at: datetime


class ShipOrder(Command):
    """The parcel leaves the house."""

    order_id: str
    at: datetime


class ReturnItems(Command):
    """A customer sends goods back and wants the money."""

    return_id: str
    customer_id: str
    country: str
    stock_code: str
    quantity: int
    unit_price_pence: int
    at: datetime
