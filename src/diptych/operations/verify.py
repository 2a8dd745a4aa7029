"""What a verification answers, where it used to be; see `operations.drift`."""

from __future__ import annotations

from diptych.operations.drift.results import Difference, Verification

__all__ = ["Difference", "Verification"]
