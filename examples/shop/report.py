"""What a demo says while it runs, and at its end."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

__all__ = ["Answer", "OnTick", "Report", "Tick"]


class Tick(msgspec.Struct, frozen=True):
    """How far a stage has come."""

    stage: str
    done: int
    total: int
    per_s: float
    unit: str


OnTick = Callable[[Tick], None]


class Answer(msgspec.Struct, frozen=True):
    """One question that was asked of a read model, and what it said."""

    question: str
    answer: list[str]


class Report(msgspec.Struct, frozen=True):
    """What the replay did. Counts are of all runs of this database, killed ones included.

    `commands` = `accepted` + all of `rejected`; `lines` = all of `lines_accepted` + all of
    `lines_rejected`. Money is pounds here, revenue is before returns. `verified`: the log was
    folded again from nothing, and every row of every read model was the same.
    """

    data: str
    database: str
    in_flight: int
    continued: bool
    finished_before: bool
    lines: int
    lines_accepted: dict[str, int]
    lines_rejected: dict[str, int]
    commands: int
    accepted: int
    accepted_by_command: dict[str, int]
    rejected: dict[str, int]
    events: int
    orders_placed: int
    returns_accepted: int
    revenue_by_country: dict[str, float]
    refunds_by_country: dict[str, float]
    seconds: float
    commands_per_s: float
    projection_events_per_s: float
    peak_lag_events: int
    peak_lag_s: float
    settled_after_s: float
    queries: list[Answer]
    verified: bool
    verified_rows: int
    verify_seconds: float
    differences: list[str]

    def to_json(self) -> str:
        """One JSON object."""
        return msgspec.json.encode(self).decode()
