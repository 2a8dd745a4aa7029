"""What goes wrong with servers."""

from __future__ import annotations

__all__ = ["ServiceProblem"]


class ServiceProblem(Exception):
    """A server could not be found, started or reached; the message says what to do."""
