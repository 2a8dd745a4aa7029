"""Stage 1b: simple CQRS. The database itself keeps the two sides in step.

New:   read models are views; the two that cost most are materialized, and refreshed after events.
Buys:  screens have names of their own, and the slow ones are computed once for all who look.
Costs: each refresh computes everything again; views bind the screens to the tables below them.
Stop here while a refresh is quick. Many teams never need more CQRS than this.
"""

from __future__ import annotations

from typing import Any

from diptych import App
from diptych_examples.shop.messages.events import (
    ItemsReturned,
    OrderPlaced,
    ProductListed,
    StockReceived,
    StockWrittenOff,
)

from . import views
from .databases import WRITE
from .mappings import MAPPINGS
from .panels import LEFT, RIGHT

__all__ = ["VIEWS", "shop_at"]


class SalesDaysView(views.SalesDaysView, kept="materialized"):
    """Looks at every order line."""

    refreshed_after = (OrderPlaced, ItemsReturned)


class ProductPagesView(views.ProductPagesView, kept="materialized"):
    """Looks at everything that moves, and is searched by words."""

    refreshed_after = (ProductListed, OrderPlaced, ItemsReturned, StockReceived, StockWrittenOff)


PLAIN = [v for v in views.VIEWS if v not in (views.SalesDaysView, views.ProductPagesView)]
VIEWS = (*PLAIN, SalesDaysView, ProductPagesView)


def shop_at(write: str = WRITE, **options: Any) -> App:
    """The shop in one database, seen through views. `options` are passed on to App."""
    return App("shop", [*LEFT, *VIEWS, *RIGHT], write=write, tables=MAPPINGS, **options)
