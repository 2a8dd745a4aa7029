"""Stage 2: replicas. The primary is written to, its copies are read.

New:   queries go to a streaming replica; a query with a token waits until it has replayed that far.
Buys:  reads no longer take anything from writes, and more readers need only more replicas.
Costs: another server; without a token, an answer is as old as the replica's lag.
Stop here while the tables can answer every screen: a replica has the shape of its primary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diptych import App

from .databases import REPLICA, WRITE
from .mappings import MAPPINGS
from .panels import LEFT, RIGHT
from .stage1b import VIEWS

__all__ = ["shop_at"]


def shop_at(write: str = WRITE, replicas: Sequence[str] = (REPLICA,), **options: Any) -> App:
    """The shop on a primary and its replicas. `options` are passed on to App."""
    parts = [*LEFT, *VIEWS, *RIGHT]
    return App("shop", parts, write=write, replicas=replicas, tables=MAPPINGS, **options)
