"""Stage 3: tables, an outbox, and read models of their own.

New:   events commit with the rows (the outbox), and projections fold them into read models.
Buys:  each screen has its own shape and costs one lookup; a new screen is made from old events.
Costs: the same fact stands in several places; asynchronous read models are a moment behind.
Stop here while one database can hold both sides. Most teams that need CQRS are done here.
"""

from __future__ import annotations

from typing import Any

from diptych import App
from diptych_examples.shop.queries.customer_profiles import CustomerProfiles
from diptych_examples.shop.queries.shipping_dashboard import WaitingOrders

from .databases import WRITE
from .mappings import MAPPINGS
from .panels import LEFT, PROJECTIONS, RIGHT

__all__ = ["shop_at"]

INLINE = (WaitingOrders, CustomerProfiles)
"""Nobody shall pack a parcel twice, or serve a customer by an old profile. All others may lag."""


def shop_at(write: str = WRITE, **options: Any) -> App:
    """The shop in one database, two models. `options` are passed on to App."""
    parts = [*LEFT, *PROJECTIONS, *RIGHT]
    return App("shop", parts, write=write, tables=MAPPINGS, inline=INLINE, **options)
