"""A moment as it is typed: `2026-01-31T12:00:00Z`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

__all__ = ["moment_option"]

F = TypeVar("F", bound=Callable[..., Any])


def moment_option(name: str, what: str) -> Callable[[F], F]:
    """An option for a time in ISO 8601; without a zone it is UTC, and a date is its midnight."""
    return click.option(name, metavar="TIME", callback=_moment, help=what)


def _moment(context: click.Context, option: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter(
            f"{value!r} is no time; write it 2026-01-31T12:00:00Z.", context, option
        ) from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found
