"""Several hundred questions about the shop, made of real ids; the same list for every stage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from diptych_examples.shop.messages.commands import GUEST
from diptych_examples.shop.queries.abandoned_carts import FindAbandonedCarts
from diptych_examples.shop.queries.cart_pages import GetCart
from diptych_examples.shop.queries.customer_orders import GetCustomerOrders
from diptych_examples.shop.queries.customer_profiles import FindBestCustomers, GetCustomerProfile
from diptych_examples.shop.queries.order_summaries import FindLargestOrders, GetOrder
from diptych_examples.shop.queries.product_pages import GetProduct, SearchProducts
from diptych_examples.shop.queries.sales import GetSalesByCountry, GetSalesDays
from diptych_examples.shop.queries.shipping_dashboard import GetShippingDashboard
from diptych_examples.shop.replay.source import Line, Source

__all__ = ["questions_about"]

T = TypeVar("T")
OF_EACH_KIND = 150
"""Ids that are asked for, spread over all there are."""

LIMITS = (0, 1, 2, 7, 20, 1_000)
NOBODY = "nobody"


def questions_about(source: Source, more_ids: Sequence[str] = ()) -> list[Any]:
    """Every kind of query; `more_ids` are asked for as carts, orders and products."""
    lines = [line for invoice in source.invoices for line in invoice.lines if not line.unreadable]
    invoices = [*_spread([invoice.number for invoice in source.invoices]), *more_ids, NOBODY]
    customers = _spread(sorted({line.customer_id for line in lines}))
    products = _spread(sorted({line.stock_code for line in lines}))
    return [
        *map(GetCart, invoices),
        *map(GetOrder, invoices),
        *map(GetCustomerProfile, [*customers, GUEST, NOBODY]),
        *map(GetCustomerOrders, [*customers, GUEST, NOBODY]),
        *map(GetProduct, [*products, *more_ids, NOBODY]),
        *map(FindLargestOrders, LIMITS),
        *map(FindBestCustomers, LIMITS),
        *map(GetShippingDashboard, LIMITS),
        GetSalesByCountry(),
        *_sales_days(lines),
        *_searches(lines),
        *_abandoned_carts(lines),
    ]


def _spread(several: Sequence[T]) -> Sequence[T]:
    """At most OF_EACH_KIND of them, from the first to the last."""
    step = -(-len(several) // OF_EACH_KIND) or 1
    return several[::step]


def _sales_days(lines: Sequence[Line]) -> Iterator[GetSalesDays]:
    days = sorted({str(line.at.date()) for line in lines})
    first, middle, last = days[0], days[len(days) // 2], days[-1]
    for country in sorted({line.country for line in lines}):
        yield GetSalesDays(country, first, last)
        yield GetSalesDays(country, middle, last)
        yield GetSalesDays(country, first, middle)
        yield GetSalesDays(country, last, first)


def _searches(lines: Sequence[Line]) -> Iterator[SearchProducts]:
    names = _spread(sorted({line.description for line in lines if line.description}))
    for number, name in enumerate(names):
        words = name.split()
        yield SearchProducts(words[0], limit=LIMITS[number % len(LIMITS)])
        yield SearchProducts(f"{words[-1]} {words[0][:3]}".lower(), limit=1_000)
    for code in _spread(sorted({line.stock_code for line in lines}))[::10]:
        yield SearchProducts(code.lower())
    for text in ("", " ", "T-LIGHT", "t light", "light-t", "charlie+lola", "a", "'", '"heart', "%"):
        yield SearchProducts(text, limit=1_000)


def _abandoned_carts(lines: Sequence[Line]) -> Iterator[FindAbandonedCarts]:
    times = sorted({line.at for line in lines})
    for at in (*times[:: len(times) // 5 or 1], times[-1] + timedelta(days=1_000)):
        for limit in LIMITS:
            yield FindAbandonedCarts(at, limit)
