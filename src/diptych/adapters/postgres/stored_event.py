"""Events from rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from diptych.events.log import StoredEvent

__all__ = ["STORED_EVENT"]

STORED_EVENT: Callable[[Any], StoredEvent] = partial(tuple.__new__, StoredEvent)
"""Makes an event of a row, without a Python frame."""
