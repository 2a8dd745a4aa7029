"""What the exit code of `diptych` says; scripts may rely on it.

An error's `code` decides; an error with a code of its own counts as what it derives from.
"""

from __future__ import annotations

from typing import Final

__all__ = ["INTERRUPTED", "OK", "PIPE_CLOSED", "REJECTED", "UNEXPECTED", "USAGE", "exit_code_of"]

OK: Final = 0
UNEXPECTED: Final = 1
REJECTED: Final = 2
USAGE: Final = 3
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141
"""Whoever read stdout went away, as after `| head`; what a shell says of any other tool then."""

_BY_CODE: Final = {
    "diptych": UNEXPECTED,
    "rejected": REJECTED,
    # What was typed, or what the application is made of.
    "configuration": USAGE,
    "message": USAGE,
    "foreign_token": USAGE,
    "upcast_failed": UNEXPECTED,  # the log is what does not fit, not what was typed
    "conflict": 4,
    "stale_read": 5,
    "store_unavailable": 6,
    "outcome_unknown": 6,
}


def exit_code_of(error: type[BaseException]) -> int:
    """The exit code for an error class."""
    for cls in error.__mro__:
        found = _BY_CODE.get(cls.__dict__.get("code", ""))
        if found is not None:
            return found
    return UNEXPECTED
