"""What is recorded around an event: where it stands, who caused it, when."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from diptych.environment import moment

__all__ = ["Envelope", "Metadata", "Origin"]


class Origin(msgspec.Struct, frozen=True, gc=False):
    """Who and what a command comes from. All optional; copied to every event it causes.

    `correlation_id` names the whole conversation, `causation_id` the message that led to this one.
    """

    actor: str | None = None
    tenant: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None


class Metadata(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The stored form of an envelope's who and why, as JSON with short names.

    Short names because they are repeated in every event of the log.
    """

    event_id: str = msgspec.field(name="id")
    correlation_id: str | None = msgspec.field(name="cor", default=None)
    causation_id: str | None = msgspec.field(name="cau", default=None)
    actor: str | None = msgspec.field(name="act", default=None)
    tenant: str | None = msgspec.field(name="ten", default=None)


_decode = msgspec.json.Decoder(Metadata).decode


class Envelope:
    """An event as it stands in the log.

    `position` counts the log, dense from 1, in commit order; `version` counts the event's stream,
    dense from 1. `recorded_at` is the writer's wall clock (UTC): shown, never used for order.
    """

    __slots__ = ("_meta", "_metadata", "event", "position", "recorded_us", "stream", "type", "version")

    def __init__(
        self,
        event: Any,
        position: int,
        stream: str,
        version: int,
        type: str,  # noqa: A002  the glossary's word
        meta: bytes,
        recorded_us: int,
    ) -> None:
        self.event = event
        self.position = position
        self.stream = stream
        self.version = version
        self.type = type
        self.recorded_us = recorded_us
        # Decoded when first asked for: most projections never look.
        self._meta = meta
        self._metadata: Metadata | None = None

    @property
    def metadata(self) -> Metadata:
        """Event id, correlation, causation, actor and tenant."""
        if self._metadata is None:
            self._metadata = _decode(self._meta)
        return self._metadata

    @property
    def event_id(self) -> str:
        """Unique id of the event."""
        return self.metadata.event_id

    @property
    def correlation_id(self) -> str | None:
        """Id shared by everything that follows from one first command."""
        return self.metadata.correlation_id

    @property
    def causation_id(self) -> str | None:
        """Id of the message that led to this event."""
        return self.metadata.causation_id

    @property
    def actor(self) -> str | None:
        """Who gave the command."""
        return self.metadata.actor

    @property
    def tenant(self) -> str | None:
        """Whose event it is."""
        return self.metadata.tenant

    @property
    def recorded_at(self) -> datetime:
        """When the writer recorded it, UTC."""
        return moment(self.recorded_us)

    def __repr__(self) -> str:
        return f"<Envelope {self.position} {self.stream} v{self.version} {self.event!r}>"
