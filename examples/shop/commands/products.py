"""A product and the goods that come in and get lost.

How many pieces lie on the shelf is not decided here, it is counted on the right panel: the shelf is
the truth, the shop may sell what the count does not know of yet, and so an order of 600 lines never
has to lock 600 products.
"""

from __future__ import annotations

from diptych import Aggregate
from diptych_examples.shop.messages.commands import ListProduct, ReceiveStock, WriteOffStock
from diptych_examples.shop.messages.events import ProductListed, StockReceived, StockWrittenOff
from diptych_examples.shop.rejections import (
    AlreadyListed,
    Blank,
    Impossible,
    NoStockKept,
    UnknownProduct,
)


class Product(Aggregate, key="stock_code"):
    """What is on offer."""

    name: str = ""
    stocked: bool = False

    def offer(self, command: ListProduct) -> ProductListed:
        """Put a product on offer, once."""
        if self.name:
            raise AlreadyListed(f"{command.stock_code} is on offer as {self.name}")
        if not command.name:
            raise Blank("a product needs a name")
        return ProductListed(command.stock_code, command.name, command.stocked)

    def receive(self, command: ReceiveStock) -> StockReceived:
        """Take goods in. Nothing comes from nowhere, so a note is required."""
        if not command.note:
            raise Blank("goods without price or customer need a note saying where they came from")
        self._must_be_goods(command)
        return StockReceived(command.stock_code, command.quantity, command.note, command.at)

    def write_off(self, command: WriteOffStock) -> StockWrittenOff:
        """Take goods out. They are gone whether or not somebody wrote down why."""
        self._must_be_goods(command)
        return StockWrittenOff(command.stock_code, command.quantity, command.note, command.at)

    def listed(self, event: ProductListed) -> None:
        """It is on offer."""
        self.name, self.stocked = event.name, event.stocked

    def _must_be_goods(self, command: ReceiveStock | WriteOffStock) -> None:
        if command.quantity < 1:
            raise Impossible("at least one piece")
        if not self.name:
            raise UnknownProduct(f"the shop never offered {command.stock_code}")
        if not self.stocked:
            raise NoStockKept(f"{self.name} lies on no shelf")
