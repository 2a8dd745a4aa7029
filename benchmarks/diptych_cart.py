"""The cart of the floors and peers in diptych: events, aggregate, read model, projection."""

from benchmarks.events import DATA, META
from benchmarks.order_lines import LINES_PER_CART
from diptych import Aggregate, Command, Event, Projection, ReadModel
from diptych.events.log import Append, EventToStore, StreamAppend


class ItemAdded(Event):
    """The event of the floors, as a diptych event."""

    sku: str
    qty: int
    price: float
    note: str


class AddItem(Command):
    """Put an article into a cart."""

    cart: str
    sku: str
    qty: int
    price: float
    note: str


class Cart(Aggregate, key="cart", name="cart"):
    """Counts pieces by article, as the loads of the floors do."""

    items: dict[str, int] = {}

    def add(self, command: AddItem) -> ItemAdded:
        """Decide."""
        return ItemAdded(command.sku, command.qty, command.price, command.note)

    def added(self, event: ItemAdded) -> None:
        """Evolve."""
        self.items[event.sku] = self.items.get(event.sku, 0) + event.qty


class ArticleSales(ReadModel, key="sku"):
    """Lines, pieces and turnover of one article."""

    sku: str
    lines: int = 0
    pieces: int = 0
    turnover: float = 0.0


class Sales(Projection[ArticleSales]):
    """The read model that the floors and the peer keep."""

    def added(self, row: ArticleSales, event: ItemAdded) -> None:
        """Fold."""
        row.lines += 1
        row.pieces += event.qty
        row.turnover += event.qty * event.price


STORED = EventToStore("ItemAdded", 1, DATA, META)


def one_event(stream: str, version: int) -> Append:
    """Make the append of one event, encoded beforehand, as the floors have it."""
    return Append((StreamAppend(stream, version - 1, (STORED,)),))


def cart_and_version(client: int, turn: int) -> tuple[str, int]:
    """Say what a client appends next: carts of ten lines, one after the other."""
    return f"cart-{client}-{turn // LINES_PER_CART}", turn % LINES_PER_CART + 1
