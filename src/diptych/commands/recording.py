"""Events on their way into the log: encoded, tagged, and marked with who caused them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from diptych.commands.envelope import CommandEnvelope
from diptych.environment import Environment
from diptych.events.log import EventToStore
from diptych.messages.envelope import Metadata
from diptych.messages.registry import Registry

__all__ = ["Recorder"]

_encode = msgspec.json.Encoder().encode


class Recorder:
    """Makes storable events of decided ones. Raises InvalidMessage, UnknownMessageType."""

    def __init__(self, registry: Registry, environment: Environment) -> None:
        self._registry = registry
        self._environment = environment

    def record(self, events: Sequence[Any], envelope: CommandEnvelope) -> tuple[EventToStore, ...]:
        """The events of one command.

        Without a correlation id the command begins a conversation of its own; without a command id
        it gets one here, so that its events share a cause. Where the caller named the message that
        led to the command, that is the cause: commands are not stored, so a chain of causes leads
        from event to event.
        """
        new_id = self._environment.new_id
        cause = envelope.causation_id or envelope.command_id or new_id()
        correlation = envelope.correlation_id or cause
        stored = []
        for event in events:
            known = self._registry.of(type(event))
            meta = Metadata(new_id(), correlation, cause, envelope.actor, envelope.tenant)
            stored.append(
                EventToStore(
                    known.identity.name,
                    known.identity.version,
                    known.codec.encode(event),
                    _encode(meta),
                    known.tags_of(event),
                )
            )
        return tuple(stored)
