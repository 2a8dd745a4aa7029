"""Stage 5: event sourcing. The log is the write model.

New:   no tables; an aggregate is the fold of its events, and nothing else is written by a command.
Buys:  the least to write per command, every state that ever was, and no mapping to maintain.
Costs: nobody can look into the write side with SQL; the shape of an event is kept for ever.
Go here for parts where history is the business: money, stock, orders. Leave forms in tables.
"""

from __future__ import annotations

from typing import Any

from diptych import App

from .databases import WRITE
from .panels import LEFT, PROJECTIONS, RIGHT

__all__ = ["shop_at"]


def shop_at(write: str = WRITE, read: str | None = None, **options: Any) -> App:
    """The shop as a log; read models beside it, or at `read`. `options` are passed on to App."""
    return App("shop", [*LEFT, *PROJECTIONS, *RIGHT], write=write, read=read, **options)
