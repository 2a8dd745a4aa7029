"""The shop's two panels bound together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from diptych import App

from .commands.carts import Cart
from .commands.check_out import check_out
from .commands.customers import Customer
from .commands.orders import Order
from .commands.products import Product
from .queries.abandoned_carts import OpenCarts, find_abandoned_carts
from .queries.cart_pages import CartPages, get_cart
from .queries.customer_orders import OrdersOfCustomers, get_customer_orders
from .queries.customer_profiles import (
    CustomerProfiles,
    find_best_customers,
    get_customer_profile,
)
from .queries.order_summaries import OrderSummaries, find_largest_orders, get_order
from .queries.product_pages import ProductPages, get_product, search_products
from .queries.sales import SalesDays, get_sales_by_country, get_sales_days
from .queries.shipping_dashboard import WaitingOrders, get_shipping_dashboard

COMMANDS = (Customer, Product, Cart, Order, check_out)
"""The left panel."""

PROJECTIONS = (
    CartPages,
    OrderSummaries,
    OrdersOfCustomers,
    CustomerProfiles,
    WaitingOrders,
    SalesDays,
    ProductPages,
    OpenCarts,
)
"""The right panel: what is kept."""

QUERIES = (
    get_cart,
    get_order,
    find_largest_orders,
    get_customer_orders,
    get_customer_profile,
    find_best_customers,
    get_shipping_dashboard,
    get_sales_days,
    get_sales_by_country,
    get_product,
    search_products,
    find_abandoned_carts,
)
"""The right panel: what can be asked."""


def shop(write: str = "memory://", *, more: Iterable[Any] = (), **options: Any) -> App:
    """The shop, kept in `write`.

    Args:
        write: URL of the event log.
        more: Further parts, such as the record of a replay.
        options: Passed on to App: `read`, `inline`, `state_stored`, `environment` and so on.
    """
    return App("shop", [*COMMANDS, *PROJECTIONS, *QUERIES, *more], write=write, **options)
