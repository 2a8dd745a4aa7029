"""How old what somebody has not seen is."""

from __future__ import annotations

from diptych.environment import Environment
from diptych.events.log import EventLog

__all__ = ["delay_s"]


async def delay_s(log: EventLog, environment: Environment, position: int) -> float:
    """Seconds since the first event after `position` was recorded; 0.0 when there is none."""
    following = await log.read(position, 1)
    if not following:
        return 0.0
    return max(0.0, (environment.time_us() - following[0].recorded_us) / 1_000_000)
