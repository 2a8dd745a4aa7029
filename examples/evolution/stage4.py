"""Stage 4: separate stores. Read models leave the database that is written to.

New:   the write side keeps tables and events in one database, the read models stand in another.
Buys:  each side is sized, tuned, restarted and lost alone; each read model may choose its store.
Costs: no read model commits with the command any more, and there is one database more to run.
Stop here while state in tables is what you want to write. History is in the log already.
"""

from __future__ import annotations

from typing import Any

from diptych import App

from .databases import READ, WRITE
from .mappings import MAPPINGS
from .panels import LEFT, PROJECTIONS, RIGHT

__all__ = ["shop_at"]


def shop_at(write: str = WRITE, read: str = READ, **options: Any) -> App:
    """The shop in two databases. `options` are passed on to App."""
    parts = [*LEFT, *PROJECTIONS, *RIGHT]
    return App("shop", parts, write=write, read=read, tables=MAPPINGS, **options)
