"""The shop's read models as SELECTs over its tables: what the projections keep, computed.

Each SELECT is a file in `selects/`. Where the two databases say it differently there are two.
"""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

from diptych import View
from diptych.queries.read_store import ViewKept
from diptych_examples.shop.queries.abandoned_carts import OpenCart
from diptych_examples.shop.queries.cart_pages import CartPage
from diptych_examples.shop.queries.customer_orders import CustomerOrders
from diptych_examples.shop.queries.customer_profiles import CustomerProfile
from diptych_examples.shop.queries.order_summaries import OrderSummary
from diptych_examples.shop.queries.product_pages import ProductPage
from diptych_examples.shop.queries.sales import SalesDay
from diptych_examples.shop.queries.shipping_dashboard import WaitingOrder

__all__ = [
    "VIEWS",
    "CartPagesView",
    "CustomerOrdersView",
    "CustomerProfilesView",
    "OpenCartsView",
    "OrderSummariesView",
    "ProductPagesView",
    "SalesDaysView",
    "WaitingOrdersView",
    "kept_as",
]

_SELECTS = Path(__file__).parent / "selects"


def select(name: str) -> dict[str, str]:
    """The SELECT in `name.sql`, or in `name.sqlite.sql` and `name.postgresql.sql`, by dialect."""
    both = _SELECTS / f"{name}.sql"
    return {
        dialect: (both if both.exists() else _SELECTS / f"{name}.{dialect}.sql").read_text("utf-8")
        for dialect in ("sqlite", "postgresql")
    }


class CartPagesView(View[CartPage]):
    """What lies in a cart."""

    sql = select("cart_pages")


class OrderSummariesView(View[OrderSummary]):
    """An order in one row."""

    sql = select("order_summaries")


class CustomerOrdersView(View[CustomerOrders]):
    """The orders of a customer."""

    sql = select("customer_orders")


class CustomerProfilesView(View[CustomerProfile]):
    """What a customer is worth."""

    sql = select("customer_profiles")


class WaitingOrdersView(View[WaitingOrder]):
    """What there is to pack."""

    sql = select("waiting_orders")


class SalesDaysView(View[SalesDay]):
    """Sales by country and day."""

    sql = select("sales_days")


class ProductPagesView(View[ProductPage]):
    """A product and its shelf."""

    sql = select("product_pages")


class OpenCartsView(View[OpenCart]):
    """Carts nobody came back to."""

    sql = select("open_carts")


VIEWS: tuple[type[View[Any]], ...] = (
    CartPagesView,
    OrderSummariesView,
    CustomerOrdersView,
    CustomerProfilesView,
    WaitingOrdersView,
    SalesDaysView,
    ProductPagesView,
    OpenCartsView,
)
"""All of them, each kept as a view in the database."""


def kept_as(kept: ViewKept, view: type[View[Any]]) -> type[View[Any]]:
    """The same view, kept in another way."""
    return types.new_class(view.__name__, (view,), {"kept": kept})
