"""What happens after the file has ended, because real orders do not have it all.

Carts that nobody comes back to, two prices for the same thing, an order dated before the one that
was placed before it, goods sold that were never listed, and customers who want what cannot be.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from diptych import Command
from diptych_examples.shop.messages.commands import (
    GUEST,
    AddItemToCart,
    CheckOut,
    ReceiveStock,
    RegisterCustomer,
    ReturnItems,
    ShipOrder,
    WriteOffStock,
)
from diptych_examples.shop.replay.rules import is_sale
from diptych_examples.shop.replay.source import Line, Source

__all__ = ["IDS", "LEFT_CARTS", "epilogue", "left_carts"]

LEFT_CARTS = tuple(f"left-{number}" for number in range(60))
"""Carts that are filled and left alone."""

IDS = (
    *LEFT_CARTS,
    "a-two-prices",
    "b-backdated",
    "c-unlisted",
    "d-guest-again",
    "empty",
    "UNLISTED",
)
"""Carts, orders and products of the epilogue."""

DAY = timedelta(days=1)


def left_carts(source: Source) -> Iterator[tuple[str, AddItemToCart]]:
    """One item in each, at times that differ by little or nothing, and the id of each command."""
    lines = _sold(source)
    for number, cart_id in enumerate(LEFT_CARTS):
        line = lines[number * len(lines) // len(LEFT_CARTS)]
        at = line.at + timedelta(seconds=number // 2, microseconds=number % 3)
        yield f"{cart_id}/add", _add(cart_id, line._replace(at=at, quantity=number + 1))


def epilogue(source: Source) -> Iterator[tuple[str, Command]]:
    """Commands and their ids, in the order in which they are dispatched."""
    commands = [*_orders(_sold(source)), *_demands(_sold(source)[0])]
    for number, command in enumerate(commands):
        yield f"epilogue/{number}", command


def _orders(lines: list[Line]) -> Iterator[Command]:
    first, last = lines[0], lines[-1]
    at = last.at + DAY
    # One product at two prices, and two products under one name: lines are not names.
    yield _add("a-two-prices", first)
    yield _add("a-two-prices", first._replace(unit_price_pence=first.unit_price_pence + 1))
    yield _add("a-two-prices", last._replace(description=first.description, country=first.country))
    yield _add("a-two-prices", first._replace(description="ANOTHER NAME"))
    yield CheckOut("a-two-prices", at)
    # Placed later, dated before the very first order.
    yield _add("b-backdated", first)
    yield CheckOut("b-backdated", lines[0].at - DAY)
    yield ShipOrder("b-backdated", at)
    # The shop sells what its catalogue does not know, to people it does not know.
    unlisted = first._replace(stock_code="UNLISTED", description="FROM THE WINDOW")
    yield _add("c-unlisted", unlisted, GUEST)
    yield CheckOut("c-unlisted", at)
    yield _add("d-guest-again", unlisted, GUEST)
    yield CheckOut("d-guest-again", at)


def _demands(line: Line) -> Iterator[Command]:
    code, at, customer = line.stock_code, line.at, line.customer_id
    yield CheckOut("empty", at)
    yield CheckOut("b-backdated", at)
    yield ShipOrder("b-backdated", at)
    yield ShipOrder("empty", at)
    yield _add("b-backdated", line)
    yield RegisterCustomer(customer, "Somebody Else", line.country)
    yield RegisterCustomer("late", "Late", "EIRE")
    yield ReturnItems("late-return", "late", "EIRE", code, 1, 100, at)
    yield _return("all", line, 1)
    yield _return("too-much", line, 1_000_000)
    yield WriteOffStock(code, 3, "", at)
    yield ReceiveStock(code, 2, "found behind the shelf", at)
    yield ReceiveStock(code, 2, "", at)
    yield WriteOffStock("UNLISTED", 1, "fell out of the window", at)


def _sold(source: Source) -> list[Line]:
    """Real lines of sales to customers."""
    return [
        line
        for invoice in source.invoices
        if is_sale(invoice)
        for line in invoice.lines
        if line.customer_id and line.description and line.quantity > 0
    ]


def _add(cart_id: str, line: Line, customer_id: str = "") -> AddItemToCart:
    return AddItemToCart(
        cart_id,
        customer_id or line.customer_id,
        line.country,
        line.stock_code,
        line.description,
        line.quantity,
        line.unit_price_pence,
        line.at,
    )


def _return(return_id: str, line: Line, quantity: int) -> ReturnItems:
    price, whose = line.unit_price_pence, (line.customer_id, line.country)
    return ReturnItems(return_id, *whose, line.stock_code, quantity, price, line.at)
