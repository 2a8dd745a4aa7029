"""A moment as it is typed: `2026-01-31T12:00:00Z`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

__all__ = ["Moment"]


class Moment(click.ParamType):
    """A time in ISO 8601; without a zone it is UTC, and a date is its midnight."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Refuse what is no time."""
        if isinstance(value, datetime):
            return value
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time; write it 2026-01-31T12:00:00Z.", param, ctx)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found
