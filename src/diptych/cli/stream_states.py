"""Which write model a stream belongs to, and the state it had."""

from __future__ import annotations

from typing import Any

from diptych.application import App
from diptych.cli.output import plain
from diptych.errors import ConfigurationError, DiptychError

__all__ = ["state_of"]


async def state_of(app: App, stream: str, version: int, *, newest: bool) -> tuple[Any, str]:
    """The state at `version` and '', or None and why there is none."""
    kind, key = _owner_of(app, stream)
    if kind is None:
        return None, f"no write model of {app.name} has streams of this name."
    try:
        return plain(await app.load(kind, key, version=version)), ""
    except ConfigurationError as error:
        if not newest:
            return None, error.message
        # Stored as state: only the newest is kept, and that is what was asked for.
        return plain(await app.load(kind, key)), ""
    except DiptychError as error:
        return None, error.message


def _owner_of(app: App, stream: str) -> tuple[Any, str]:
    """The write model with the longest name that the stream begins with: names may hold dashes."""
    found, longest = None, ""
    for kind, decider in app.parts.deciders.items():
        if stream.startswith(f"{decider.name}-") and len(decider.name) > len(longest):
            found, longest = kind, decider.name
    return found, stream[len(longest) + 1 :]
