"""The product page, found by words, with the count of the shelf."""

from __future__ import annotations

from collections.abc import Iterable

from diptych import Projection, Query, Reader, ReadModel, keyed_by
from diptych_examples.shop.messages.events import (
    ItemsReturned,
    OrderPlaced,
    ProductListed,
    StockReceived,
    StockWrittenOff,
)


class ProductPage(ReadModel, key="stock_code", search=("text",)):
    """One product. `on_hand` counts from zero, and below: the data knows few deliveries."""

    stock_code: str
    name: str = ""
    text: str = ""
    stocked: bool = False
    sold: int = 0
    returned: int = 0
    received: int = 0
    written_off: int = 0

    @property
    def on_hand(self) -> int:
        """What should lie on the shelf, as a change since counting began."""
        if not self.stocked:
            return 0
        return self.received + self.returned - self.sold - self.written_off


def products_of(event: OrderPlaced) -> Iterable[str]:
    """Each product once, although an order may have it at two prices."""
    return dict.fromkeys(line.stock_code for line in event.lines)


class ProductPages(Projection[ProductPage]):
    """Names from the catalogue, numbers from everything that moves goods."""

    def listed(self, page: ProductPage, event: ProductListed) -> None:
        """On offer."""
        page.name, page.stocked = event.name, event.stocked
        page.text = f"{event.stock_code} {event.name}"

    @keyed_by(products_of)
    def ordered(self, page: ProductPage, event: OrderPlaced) -> None:
        """Off the shelf."""
        for line in event.lines:
            if line.stock_code == page.stock_code:
                page.sold += line.quantity

    def came_back(self, page: ProductPage, event: ItemsReturned) -> None:
        """On the shelf again."""
        page.returned += event.quantity

    def delivered(self, page: ProductPage, event: StockReceived) -> None:
        """On the shelf."""
        page.received += event.quantity

    def lost(self, page: ProductPage, event: StockWrittenOff) -> None:
        """Gone."""
        page.written_off += event.quantity


class GetProduct(Query[ProductPage | None]):
    """What is this product?"""

    stock_code: str


class SearchProducts(Query[list[ProductPage]]):
    """Which products have all these words, or words beginning with them?"""

    text: str
    limit: int = 20


async def get_product(query: GetProduct, products: Reader[ProductPage]) -> ProductPage | None:
    """One row."""
    return await products.get(query.stock_code)


async def search_products(
    query: SearchProducts, products: Reader[ProductPage]
) -> list[ProductPage]:
    """By the full-text index."""
    return await products.search(query.text, limit=query.limit)
