"""Who watches an application run."""

from __future__ import annotations

from typing import Protocol

from diptych.commands.envelope import CommandEnvelope, CommandHandler, Done
from diptych.queries.ask import Watch as WatchOfQueries

__all__ = ["Watch"]


class Watch(WatchOfQueries, Protocol):
    """Sees every command, query and wait, and changes none; see telemetry."""

    async def dispatching(self, envelope: CommandEnvelope, proceed: CommandHandler) -> Done:
        """Await `proceed(envelope)` and answer what it answers."""
