"""Looks whether decisions leave the state alone, as they must.

A decision that changes the state would decide the next command on something that no event tells of,
and a stored state would keep it for ever, without any error. Nobody does that once in a thousand
times: so the first decisions on each kind of command are looked at, and then now and then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from diptych.errors import ConfigurationError
from diptych.messages.registry import place_of

__all__ = ["Purity"]

_FIRST = 100
_THEN_EVERY = 256


class Purity:
    """Takes pictures of states (as JSON) now and then, and compares them later."""

    def __init__(self) -> None:
        self._encode = msgspec.json.Encoder().encode
        self._seen: dict[object, int] = {}

    def decide(self, decide: Callable[[Any, Any], Any], command: Any, state: Any) -> Any:
        """What `decide` returns. Raises ConfigurationError when it has changed the state."""
        before = self.picture(type(command), state)
        decided = decide(command, state)
        if before is not None:
            if hasattr(decided, "__next__"):
                decided = tuple(decided)  # a generator decides while it is read
            self.compare(before, state, place_of(decide))
        return decided

    def picture(self, kind: object, state: Any) -> bytes | None:
        """What the state looks like; None when it is not this one's turn to be looked at.

        Of each `kind`, the first hundred are looked at and then every 256th.
        """
        seen = self._seen[kind] = self._seen.get(kind, 0) + 1
        if seen > _FIRST and seen % _THEN_EVERY:
            return None
        return self._look(state)

    def compare(self, before: bytes | None, state: Any, place: str) -> None:
        """Raise ConfigurationError when a state does not look as it did before."""
        if before is not None and self._look(state) != before:
            raise ConfigurationError(
                f"{place} changed a state while it decided. Nothing was written. Only an evolution "
                "changes state, so that the events alone tell what it is: return or record an "
                "event, and change the state in the method that takes it."
            )

    def _look(self, state: Any) -> bytes | None:
        try:
            return self._encode(state)
        except (TypeError, ValueError, RecursionError):
            return None  # a state that JSON cannot carry; it is never stored either
