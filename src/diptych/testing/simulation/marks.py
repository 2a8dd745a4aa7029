"""Which attempt or ask the running code works for, so that its effects are known as its own."""

from __future__ import annotations

from contextvars import ContextVar

__all__ = ["ASK", "ATTEMPT"]

ATTEMPT: ContextVar[int] = ContextVar("attempt", default=0)
ASK: ContextVar[int] = ContextVar("ask", default=0)
