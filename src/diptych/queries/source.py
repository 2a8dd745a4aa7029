"""Where the rows of one projection are."""

from __future__ import annotations

from diptych.queries.projection import Plan
from diptych.queries.read_store import ReadStore

__all__ = ["Source"]


class Source:
    """One projection and the store that keeps it.

    `plan` is that of the generation of its rows that is read now, `first` that of the projection.
    """

    def __init__(self, plan: Plan, store: ReadStore) -> None:
        self.first = plan
        self.plan = plan
        self.store = store
