"""An order: placed by a check-out, shipped once."""

from __future__ import annotations

from diptych import Aggregate
from diptych_examples.shop.messages.commands import ShipOrder
from diptych_examples.shop.messages.events import OrderPlaced, OrderShipped
from diptych_examples.shop.rejections import AlreadyShipped, UnknownOrder


class Order(Aggregate, key="order_id"):
    """What must be known to send it."""

    customer_id: str = ""
    shipped: bool = False

    def ship(self, command: ShipOrder) -> OrderShipped:
        """Send it, once."""
        if not self.customer_id:
            raise UnknownOrder(f"there is no order {command.order_id}")
        if self.shipped:
            raise AlreadyShipped(f"the order {command.order_id} has left")
        return OrderShipped(command.order_id, self.customer_id, command.at)

    def placed(self, event: OrderPlaced) -> None:
        """It waits for its parcel."""
        self.customer_id = event.customer_id

    def sent(self, event: OrderShipped) -> None:
        """It has left."""
        self.shipped = True
