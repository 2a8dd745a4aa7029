"""What a person reads while servers come and go, on standard error."""

from __future__ import annotations

import sys

__all__ = ["say"]


def say(text: str) -> None:
    """Write one line for people."""
    print(text, file=sys.stderr, flush=True)
