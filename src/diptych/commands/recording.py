"""Events that follow from a command, on their way into the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diptych.commands.envelope import CommandEnvelope
from diptych.environment import Environment
from diptych.events.log import EventToStore
from diptych.events.recording import Cause, to_store
from diptych.messages.registry import Registry

__all__ = ["Recorder"]


class Recorder:
    """Makes storable events of decided ones. Raises InvalidMessage, UnknownMessageType."""

    def __init__(self, registry: Registry, environment: Environment) -> None:
        self._registry = registry
        self._environment = environment

    def record(self, events: Sequence[Any], envelope: CommandEnvelope) -> tuple[EventToStore, ...]:
        """The events of one command.

        Without a command id the command gets one here, so that its events share a cause. Where the
        caller named the message that led to the command, that is the cause: commands are not
        stored, so a chain of causes leads from event to event.
        """
        cause = Cause(
            envelope.causation_id or envelope.command_id or self._environment.new_id(),
            envelope.correlation_id,
            envelope.actor,
            envelope.tenant,
        )
        return to_store(self._registry, self._environment, events, cause)
