"""What is recorded around an event: where it stands, who caused it, when."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from diptych.environment import moment

__all__ = ["Envelope", "Metadata", "StoredEvent"]


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


class StoredEvent(NamedTuple):
    """One event as it stands in the log: `data` and `meta` are JSON bytes, `schema` is the shape's
    version, `recorded_us` is microseconds since 1970, UTC.
    """

    position: int
    stream: str
    version: int
    type: str
    schema: int
    data: bytes
    meta: bytes
    recorded_us: int


class Envelope(msgspec.Struct, gc=False):
    """An event as it stands in the log, decoded.

    `position` counts the log, dense from 1, in commit order; `version` counts the event's stream,
    dense from 1. `recorded_at` is the writer's wall clock (UTC): shown, never used for order.
    """

    # Two references and no copies: millions of these are made, and few are looked into.
    event: Any
    stored: StoredEvent
    _metadata: Metadata | None = None

    @property
    def position(self) -> int:
        """Place in the log."""
        return self.stored.position

    @property
    def stream(self) -> str:
        """Name of the event's stream."""
        return self.stored.stream

    @property
    def version(self) -> int:
        """Place in its stream."""
        return self.stored.version

    @property
    def type(self) -> str:
        """Stable name of the event's type."""
        return self.stored.type

    @property
    def metadata(self) -> Metadata:
        """Event id, correlation, causation, actor and tenant."""
        if self._metadata is None:
            self._metadata = _decode(self.stored.meta)
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
        return moment(self.stored.recorded_us)

    def __repr__(self) -> str:
        return f"<Envelope {self.position} {self.stream} v{self.version} {self.event!r}>"
