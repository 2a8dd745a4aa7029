"""Where each projection stands, and why it stands there."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["Mode", "ProjectionStatus", "State"]

State = Literal[
    "live", "catching up", "inline", "behind", "failed", "changed", "retrying", "stopped"
]
"""What a projection is doing. `failed` and `changed` wait for somebody to act; a materialized view
that is `behind` is refreshed when it is asked for with a token.
"""

Mode = Literal["async", "inline", "view", "materialized"]
"""How a read model is kept in step."""


class ProjectionStatus(msgspec.Struct, frozen=True):
    """One projection at one moment.

    `lag_events` counts the events it has not seen; `delay_s` is the age of the oldest of them.
    `events_per_s` is what it folded lately. `why` says what is in the way; '' when nothing is.
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
