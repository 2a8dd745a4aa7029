"""A customer: who it is, and what it bought and may still bring back."""

from __future__ import annotations

from diptych import Aggregate
from diptych_examples.shop.messages.commands import RegisterCustomer, ReturnItems
from diptych_examples.shop.messages.events import CustomerRegistered, ItemsBought, ItemsReturned
from diptych_examples.shop.rejections import (
    AlreadyRegistered,
    BoughtFewer,
    Impossible,
    NeverBought,
    UnknownCustomer,
)


class Customer(Aggregate, key="customer_id"):
    """Returns are decided here: only the customer's purchases say whether they are right."""

    name: str = ""
    pieces: dict[str, int] = {}

    def register(self, command: RegisterCustomer) -> CustomerRegistered:
        """Open an account, once."""
        if self.name:
            raise AlreadyRegistered(f"{command.customer_id} is registered as {self.name}")
        return CustomerRegistered(command.customer_id, command.name, command.country)

    def bring_back(self, command: ReturnItems) -> ItemsReturned:
        """Take back at most what this customer bought and did not bring back yet."""
        if command.quantity < 1 or command.unit_price_pence < 0:
            raise Impossible("at least one piece comes back, at a price of zero or more")
        if not self.name:
            raise UnknownCustomer("goods come back only from customers the shop knows")
        bought = self.pieces.get(command.stock_code)
        if bought is None:
            raise NeverBought(f"{self.name} never bought {command.stock_code}")
        if command.quantity > bought:
            raise BoughtFewer(f"{self.name} has only {bought} {command.stock_code}", has=bought)
        return ItemsReturned(
            command.return_id,
            command.customer_id,
            command.country,
            command.stock_code,
            command.quantity,
            command.quantity * command.unit_price_pence,
            command.at,
        )

    def registered(self, event: CustomerRegistered) -> None:
        """The account is open."""
        self.name = event.name

    def bought(self, event: ItemsBought) -> None:
        """More to bring back."""
        for stock_code, quantity in event.pieces.items():
            self.pieces[stock_code] = self.pieces.get(stock_code, 0) + quantity

    def returned(self, event: ItemsReturned) -> None:
        """Less to bring back."""
        self.pieces[event.stock_code] -= event.quantity
