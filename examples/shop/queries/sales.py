"""Sales by country and day."""

from __future__ import annotations

import msgspec

from diptych import Projection, Query, Reader, ReadModel, keyed_by
from diptych_examples.shop.messages.events import ItemsReturned, OrderPlaced


class SalesDay(ReadModel, key="country_day", indexes=("country", "day")):
    """One day in one country. Returns count on the day they came back."""

    country_day: str
    country: str = ""
    day: str = ""
    orders: int = 0
    pieces: int = 0
    revenue_pence: int = 0
    refunded_pence: int = 0


def country_day(event: OrderPlaced | ItemsReturned) -> str:
    """The row of an event: `EIRE 2010-12-01`."""
    return f"{event.country} {event.at.date()}"


class SalesDays(Projection[SalesDay]):
    """Adds up."""

    @keyed_by(country_day)
    def placed(self, sales: SalesDay, event: OrderPlaced) -> None:
        """Money in."""
        sales.country, sales.day = event.country, str(event.at.date())
        sales.orders += 1
        sales.pieces += event.pieces
        sales.revenue_pence += event.total_pence

    @keyed_by(country_day)
    def returned(self, sales: SalesDay, event: ItemsReturned) -> None:
        """Money out."""
        sales.country, sales.day = event.country, str(event.at.date())
        sales.refunded_pence += event.refund_pence


class CountrySales(msgspec.Struct):
    """The sum of one country's days. Revenue is before returns."""

    orders: int = 0
    pieces: int = 0
    revenue_pence: int = 0
    refunded_pence: int = 0


class GetSalesDays(Query[list[SalesDay]]):
    """How was business in this country, from one day to another?"""

    country: str
    first_day: str
    last_day: str


class GetSalesByCountry(Query[dict[str, CountrySales]]):
    """How was business, country by country? The best first."""


async def get_sales_days(query: GetSalesDays, sales: Reader[SalesDay]) -> list[SalesDay]:
    """By country, ordered by day."""
    return await sales.find(
        country=query.country,
        day__gte=query.first_day,
        day__lte=query.last_day,
        order_by="day",
    )


async def get_sales_by_country(
    query: GetSalesByCountry,  # noqa: ARG001  it asks for everything
    sales: Reader[SalesDay],
) -> dict[str, CountrySales]:
    """Adds up a few thousand rows."""
    countries: dict[str, CountrySales] = {}
    async for day in sales.scan():
        country = countries.setdefault(day.country, CountrySales())
        country.orders += day.orders
        country.pieces += day.pieces
        country.revenue_pence += day.revenue_pence
        country.refunded_pence += day.refunded_pence
    return dict(sorted(countries.items(), key=lambda one: (-one[1].revenue_pence, one[0])))
