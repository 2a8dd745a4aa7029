"""The customer profile: who it is and what it is worth."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from diptych import Projection, Query, Reader, ReadModel, keyed_by
from diptych_examples.shop.messages.commands import GUEST
from diptych_examples.shop.messages.events import CustomerRegistered, ItemsReturned, OrderPlaced


class CustomerProfile(ReadModel, key="customer_id", indexes=("country", "spent_pence")):
    """One customer. `spent_pence` is before returns."""

    customer_id: str
    name: str = ""
    country: str = ""
    orders: int = 0
    pieces: int = 0
    spent_pence: int = 0
    returns: int = 0
    refunded_pence: int = 0
    first_order_at: datetime | None = None
    last_order_at: datetime | None = None


def customer_of(event: OrderPlaced) -> Iterable[str]:
    """The customer, unless it is a guest."""
    return () if event.customer_id == GUEST else (event.customer_id,)


class CustomerProfiles(Projection[CustomerProfile]):
    """Counts along."""

    def registered(self, profile: CustomerProfile, event: CustomerRegistered) -> None:
        """A new face."""
        profile.name, profile.country = event.name, event.country

    @keyed_by(customer_of)
    def ordered(self, profile: CustomerProfile, event: OrderPlaced) -> None:
        """One order more."""
        profile.orders += 1
        profile.pieces += event.pieces
        profile.spent_pence += event.total_pence
        profile.first_order_at = profile.first_order_at or event.at
        profile.last_order_at = event.at

    def returned(self, profile: CustomerProfile, event: ItemsReturned) -> None:
        """One return more."""
        profile.returns += 1
        profile.refunded_pence += event.refund_pence


class GetCustomerProfile(Query[CustomerProfile | None]):
    """Who is this?"""

    customer_id: str


class FindBestCustomers(Query[list[CustomerProfile]]):
    """Who spent the most?"""

    limit: int = 10


async def get_customer_profile(
    query: GetCustomerProfile, profiles: Reader[CustomerProfile]
) -> CustomerProfile | None:
    """One row."""
    return await profiles.get(query.customer_id)


async def find_best_customers(
    query: FindBestCustomers, profiles: Reader[CustomerProfile]
) -> list[CustomerProfile]:
    """By the index on what they spent."""
    return await profiles.find(order_by="-spent_pence", limit=query.limit)
