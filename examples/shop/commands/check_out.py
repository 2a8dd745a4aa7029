"""Checking out: a cart is closed, an order placed, a customer owns more. All three or none."""

from __future__ import annotations

from diptych import UnitOfWork
from diptych_examples.shop.messages.commands import GUEST, CheckOut
from diptych_examples.shop.messages.events import (
    CartCheckedOut,
    ItemsBought,
    OrderLine,
    OrderPlaced,
)
from diptych_examples.shop.rejections import UnknownCustomer

from .carts import Cart
from .customers import Customer
from .orders import Order


async def check_out(command: CheckOut, work: UnitOfWork) -> None:
    """Three streams in one append. The order takes the number of its cart."""
    cart: Cart = await work.load(Cart, command.cart_id)
    lines = cart.to_order(command.cart_id)
    name = await _name_of(cart.customer_id, work)
    await work.record(Cart, command.cart_id, CartCheckedOut(command.cart_id, command.at))
    order = OrderPlaced(
        command.cart_id,
        cart.customer_id,
        name,
        cart.country,
        lines,
        sum(line.quantity for line in lines),
        sum(line.quantity * line.unit_price_pence for line in lines),
        command.at,
    )
    await work.record(Order, order.order_id, order)
    if cart.customer_id != GUEST:
        bought = ItemsBought(cart.customer_id, order.order_id, _pieces(lines))
        await work.record(Customer, cart.customer_id, bought)


async def _name_of(customer_id: str, work: UnitOfWork) -> str:
    if customer_id == GUEST:
        return "Guest"
    customer: Customer = await work.load(Customer, customer_id)
    if not customer.name:
        raise UnknownCustomer(f"{customer_id} has no account")
    return customer.name


def _pieces(lines: tuple[OrderLine, ...]) -> dict[str, int]:
    pieces: dict[str, int] = {}
    for line in lines:
        pieces[line.stock_code] = pieces.get(line.stock_code, 0) + line.quantity
    return pieces
