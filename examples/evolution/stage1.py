"""Stage 1: one model in one database.

New:   the shop's aggregates stand in normalized tables; queries are SELECTs over the same tables.
Buys:  one thing to run, to understand and to back up. Nothing is kept twice, so nothing is behind.
Costs: every screen is computed again for everyone who looks; what happened yesterday is forgotten.
Stop here while the screens are quick enough. For most applications that is for ever.
"""

from __future__ import annotations

from typing import Any

from diptych import App

from .mappings import MAPPINGS
from .panels import LEFT, RIGHT
from .views import VIEWS, kept_as

__all__ = ["shop_at"]

SELECTS = [kept_as("query", view) for view in VIEWS]


def shop_at(write: str = "sqlite:///shop.db", **options: Any) -> App:
    """The shop in one file. `options` are passed on to App."""
    parts = [*LEFT, *SELECTS, *RIGHT]
    return App("shop", parts, write=write, tables=MAPPINGS, keep_events=False, **options)
