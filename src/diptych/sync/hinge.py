"""What everything between the two panels shares."""

from __future__ import annotations

from typing import NamedTuple

from diptych.environment import Environment
from diptych.events.log import EventLog
from diptych.messages.registry import Registry
from diptych.queries.wait import Arrivals

__all__ = ["Hinge"]


class Hinge(NamedTuple):
    """The log, how its bytes become events, who waits for whom, and the outside world."""

    log: EventLog
    registry: Registry
    arrivals: Arrivals
    environment: Environment
