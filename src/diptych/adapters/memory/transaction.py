"""All or nothing in memory: what was written, and how to take it back."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Undo"]


class Undo:
    """The steps that take back what one operation has written so far.

    An event log makes one for each append and hands it to participants as the transaction's handle,
    so that a read store can add its own steps.
    """

    __slots__ = ("_steps",)

    def __init__(self) -> None:
        self._steps: list[Callable[[], None]] = []

    def add(self, step: Callable[[], None]) -> None:
        """Remember how to take back a write that follows."""
        self._steps.append(step)

    def run(self) -> None:
        """Take everything back, the newest write first."""
        while self._steps:
            self._steps.pop()()
