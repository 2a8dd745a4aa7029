"""Where each projection stands, and why it stands there."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["Mode", "ProjectionStatus", "State"]

State = Literal[
    "live",
    "catching up",
    "inline",
    "behind",
    "failed",
    "changed",
    "retrying",
    "stopped",
    "standing by",
]
"""What a projection is doing. `failed` and `changed` wait for somebody to act; a materialized view
that is `behind` is refreshed when it is asked for with a token.
"""

Mode = Literal["async", "inline", "view", "materialized", "handler"]
"""How a read model is kept in step; `handler` is none, but an event handler with its mark."""


class ProjectionStatus(msgspec.Struct, frozen=True):
    """One projection at one moment.

    `lag_events` counts the events it has not seen; `delay_s` is the age of the oldest of them.
    `events_per_s` is what it folded lately. `why` says what is in the way; '' when nothing is.
    `owner` names the process that moves it, '' where that is not known; `epoch` counts how often
    another one took it over. `parked_keys` counts keys that wait for somebody to act, `errors` what
    went wrong since the process that runs it began. `eta_s` is when it will have come to the head,
    in seconds; None: that cannot be told. `generation` names the rows that are read.
    """

    name: str
    mode: Mode
    state: State
    position: int
    head: int
    lag_events: int
    delay_s: float
    events_per_s: float = 0.0
    why: str = ""
    owner: str = ""
    epoch: int = 0
    parked_keys: int = 0
    eta_s: float | None = None
    errors: int = 0
    generation: str = ""
