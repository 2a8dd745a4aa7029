"""What every line and every invoice becomes. README.md says the same in words, with counts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import NamedTuple

from diptych import Command
from diptych_examples.shop.messages.commands import (
    GUEST,
    AddItemToCart,
    CheckOut,
    ListProduct,
    ReceiveStock,
    RegisterCustomer,
    ReturnItems,
    ShipOrder,
    WriteOffStock,
)

from .ledger import REPLAY, NoteUnreadableLine
from .source import Invoice, Line, Source

__all__ = ["Scene", "Script", "Step", "script_of"]

WITHOUT_STOCK = frozenset({"POST", "DOT", "C2", "M", "S", "D", "AMAZONFEE", "BANK CHARGES"})
"""Postage, carriage, corrections, samples, discounts, fees: products that lie on no shelf."""


class Step(NamedTuple):
    """One command. `command_id` is made from the line, so that it is the same in every run."""

    command_id: str
    command: Command
    is_line: bool = False


class Scene(NamedTuple):
    """Commands in their order. Scenes of one chain follow each other; others may mix."""

    chain: str
    invoice: Invoice | None
    steps: list[Step]
    """What stands before the commands of the invoice."""
    ships: bool = False

    def play(self) -> Iterator[Step]:
        """Every command of the scene; one that ships is sent only if the check-out was accepted."""
        yield from self.steps
        if self.invoice is not None:
            yield from _steps_of(self.invoice, ships=self.ships)


class Script(NamedTuple):
    """The whole replay: the catalogue first, then every invoice."""

    source: Source
    catalogue: list[Scene]
    invoices: list[Scene]


def script_of(source: Source) -> Script:
    """Decide what happens, and in which order."""
    return Script(source, _catalogue(source), _invoices(source))


_PRODUCTS_PER_SCENE = 50


def _catalogue(source: Source) -> list[Scene]:
    """A product is offered under the name of its first sale, before the shop opens."""
    names: dict[str, str] = {}
    for invoice in source.invoices:
        if is_sale(invoice):
            for line in invoice.lines:
                if line.description:
                    names.setdefault(line.stock_code, line.description)
    steps = [
        Step(f"product/{code}", ListProduct(code, name, stocked=_is_goods(code)))
        for code, name in names.items()
    ]
    starts = range(0, len(steps), _PRODUCTS_PER_SCENE)
    return [
        Scene(f"catalogue/{start}", None, steps[start : start + _PRODUCTS_PER_SCENE])
        for start in starts
    ]


def _invoices(source: Source) -> list[Scene]:
    scenes = []
    registered: set[str] = set()
    for invoice in source.invoices:
        customer = next((line for line in invoice.lines if line.customer_id), None)
        before = []
        chain = f"invoice/{invoice.number}"
        if customer is not None:
            chain = f"customer/{customer.customer_id}"
            if customer.customer_id not in registered:
                registered.add(customer.customer_id)
                before.append(_registration(customer))
        scenes.append(Scene(chain, invoice, before, _ships(invoice, source.last_day)))
    return scenes


def _registration(line: Line) -> Step:
    name = f"Customer {line.customer_id}"
    command = RegisterCustomer(line.customer_id, name, line.country)
    return Step(f"customer/{line.customer_id}", command)


def _steps_of(invoice: Invoice, *, ships: bool) -> Iterator[Step]:
    sale, returns = is_sale(invoice), is_return(invoice)
    for line in invoice.lines:
        if line.unreadable:
            command: Command = NoteUnreadableLine(REPLAY, invoice.number, line.unreadable)
        elif returns:
            command = _return(invoice, line)
        elif sale:
            command = _sale(invoice, line)
        else:
            command = _stock_note(line)
        yield Step(f"{invoice.number}/{line.number}", command, is_line=True)
    if sale:
        at = max(line.at for line in invoice.lines)
        yield Step(f"{invoice.number}/checkout", CheckOut(invoice.number, at))
        if ships:
            tomorrow = at + timedelta(days=1)
            yield Step(f"{invoice.number}/ship", ShipOrder(invoice.number, tomorrow))


def is_return(invoice: Invoice) -> bool:
    """Credit notes begin with C."""
    return invoice.number.startswith("C")


def is_sale(invoice: Invoice) -> bool:
    """Somebody bought, or something has a price. All else is a note about stock."""
    return not is_return(invoice) and any(
        line.customer_id or line.unit_price_pence for line in invoice.lines if not line.unreadable
    )


def _ships(invoice: Invoice, last_day: date) -> bool:
    """Parcels leave a day later, so those of the last day still wait when the data ends."""
    return max(line.at.date() for line in invoice.lines) < last_day


def _is_goods(code: str) -> bool:
    return code not in WITHOUT_STOCK and not code.startswith("GIFT_")


def _sale(invoice: Invoice, line: Line) -> AddItemToCart:
    return AddItemToCart(
        invoice.number,
        line.customer_id or GUEST,
        line.country,
        line.stock_code,
        line.description,
        line.quantity,
        line.unit_price_pence,
        line.at,
    )


def _return(invoice: Invoice, line: Line) -> ReturnItems:
    return ReturnItems(
        invoice.number,
        line.customer_id or GUEST,
        line.country,
        line.stock_code,
        -line.quantity,
        line.unit_price_pence,
        line.at,
    )


def _stock_note(line: Line) -> ReceiveStock | WriteOffStock:
    if line.quantity < 0:
        return WriteOffStock(line.stock_code, -line.quantity, line.description, line.at)
    return ReceiveStock(line.stock_code, line.quantity, line.description, line.at)
