"""How fast something may go that shall not be in the way of others."""

from __future__ import annotations

import math

from diptych.environment import Environment

__all__ = ["Pace"]


class Pace:
    """At most `per_s` a second, by sleeping for what was spent too early.

    A token bucket that holds what is spent at once: time that was taken anyway counts, but nothing
    more is saved up while nothing is spent.
    """

    def __init__(self, environment: Environment, per_s: float = math.inf) -> None:
        self._environment = environment
        self._per_s = per_s
        self._owed = 0.0
        self._seen_s = environment.monotonic_s()

    def at_once(self, most: int) -> int:
        """How many to take at once, `most` at most: as many as go in a tenth of a second."""
        return most if self._per_s >= most * 10 else max(1, int(self._per_s / 10))

    async def spend(self, number: int) -> None:
        """Return when `number` more were allowed; without a limit, let others run for a moment."""
        if math.isinf(self._per_s):
            await self._environment.sleep(0)
            return
        now = self._environment.monotonic_s()
        earned = (now - self._seen_s) * self._per_s
        self._owed, self._seen_s = max(-float(number), self._owed - earned) + number, now
        await self._environment.sleep(max(0.0, self._owed / self._per_s))
