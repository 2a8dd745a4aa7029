"""Where the rows of one projection are."""

from __future__ import annotations

from diptych.queries.projection import Plan
from diptych.queries.read_store import ReadStore

__all__ = ["Source"]


class Source:
    """One projection and the store that keeps it."""

    def __init__(self, plan: Plan, store: ReadStore) -> None:
        self.plan = plan
        self.store = store
