"""The same order lines through diptych: its log, its events, its aggregate, its read model."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec

from benchmarks.events_file import DATA, META
from benchmarks.order_lines import LINES_PER_CART, NOTE, order_lines
from diptych import Aggregate, Command, Event, Projection, ReadModel
from diptych.adapters.sqlite.event_log import SqliteEventLog
from diptych.events.log import Append, EventToStore, StreamAppend

BLOCK = LINES_PER_CART * 10


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


def fill_log(path: Path, count: int, keys: int) -> None:
    """Write the order lines of `events_file.fill` through the log."""

    async def run() -> None:
        log = SqliteEventLog(path)
        await log.open()
        try:
            blocks = iter_blocks(count, keys)
            await asyncio.gather(*(writer(log, blocks) for _ in range(32)))
        finally:
            await log.close()

    asyncio.run(run())


async def writer(log: SqliteEventLog, blocks: Iterator[Append]) -> None:
    """Append blocks until there are no more; several writers share one iterator."""
    for block in blocks:
        await log.append(block)


def iter_blocks(count: int, keys: int) -> Iterator[Append]:
    """Yield ten carts of ten lines at a time, each block one append."""
    encode = msgspec.json.Encoder().encode
    carts: dict[str, list[EventToStore]] = {}
    for number, line in enumerate(order_lines(count, keys), 1):
        data = encode(ItemAdded(line.sku, line.qty, line.price, NOTE))
        carts.setdefault(line.cart, []).append(EventToStore("ItemAdded", 1, data, META))
        if number % BLOCK == 0 or number == count:
            yield Append(tuple(StreamAppend(cart, 0, tuple(es)) for cart, es in carts.items()))
            carts.clear()
