"""Somebody else was first: whether deciding again may help."""

from __future__ import annotations

from diptych.commands.handler import MAX_ATTEMPTS, UnexpectedVersion
from diptych.errors import ConflictError

__all__ = ["check_worth_another_attempt"]


def check_worth_another_attempt(error: ConflictError, attempt: int) -> None:
    """Raise `error` unless the command may be decided again after `attempt` (counted from 0)."""
    attempts = MAX_ATTEMPTS
    if error.facts.get("unique"):
        # Who looks again finds the row of whoever was first; a second time it is no race.
        attempts = 2
    if isinstance(error, UnexpectedVersion) or not error.retryable or attempt >= attempts - 1:
        raise error
