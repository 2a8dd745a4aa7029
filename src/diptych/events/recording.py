"""Events on their way into the log: encoded, tagged, and marked with who caused them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from diptych.environment import Environment
from diptych.errors import UnknownMessageType
from diptych.events.log import EventToStore
from diptych.messages.envelope import Metadata
from diptych.messages.registry import Registry

__all__ = ["Cause", "events_by_stream", "to_store"]

_encode = msgspec.json.Encoder().encode


class Cause(NamedTuple):
    """What led to some events: copied to each of them."""

    causation_id: str
    correlation_id: str | None = None
    actor: str | None = None
    tenant: str | None = None


def to_store(
    registry: Registry, environment: Environment, events: Sequence[Any], cause: Cause
) -> tuple[EventToStore, ...]:
    """Storable events. Raises InvalidMessage, UnknownMessageType.

    Without a correlation id they begin a conversation of their own.
    """
    correlation = cause.correlation_id or cause.causation_id
    stored = []
    for event in events:
        known = registry.of(type(event))
        meta = Metadata(
            environment.new_id(), correlation, cause.causation_id, cause.actor, cause.tenant
        )
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


def events_by_stream(registry: Registry, events: Iterable[Any]) -> dict[str, list[Any]]:
    """Events under the streams that they name themselves, in the order of their first event.

    Raises ConfigurationError for an event without a stream, InvalidMessage, UnknownMessageType.
    """
    found: dict[str, list[Any]] = {}
    for event in events:
        if isinstance(event, type):
            raise UnknownMessageType(
                f"{event.__name__} is a class, not an event: record {event.__name__}(...).",
                type=event.__name__,
            )
        found.setdefault(registry.of(type(event)).stream_of(event), []).append(event)
    return found
