"""One event of the log as an auditor sees it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from diptych.environment import moment
from diptych.errors import DiptychError
from diptych.messages.envelope import Metadata, StoredEvent
from diptych.messages.registry import Registry

__all__ = ["Record", "metadata_of", "record_of"]

_decode = msgspec.json.Decoder(Metadata).decode
_NOBODY = Metadata("")


class Record(msgspec.Struct, frozen=True):
    """What happened, who did it, when, and why.

    `event` is the event in its present shape; `data` is what was stored, as it was stored.
    `causation_id` names the message that led to the event (another event's `event_id`, or a
    command), `correlation_id` the conversation both belong to.

    A record never fails: where the log holds something that this code cannot read, `unreadable`
    says what and why, and the field is None (`event_id` is "").
    """

    position: int
    stream: str
    version: int
    type: str
    schema: int
    event: Any
    data: bytes
    recorded_at: datetime | None
    event_id: str = ""
    actor: str | None = None
    tenant: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    unreadable: str | None = None


def metadata_of(stored: StoredEvent) -> Metadata | None:
    """Who and why, as stored; None when it cannot be read."""
    try:
        return _decode(stored.meta)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def record_of(stored: StoredEvent, registry: Registry) -> Record:
    """One stored event as a record."""
    troubles: list[str] = []
    metadata = metadata_of(stored)
    if metadata is None:
        metadata = _NOBODY
        troubles.append("its metadata is not what diptych writes")
    event = _event(stored, registry, troubles)
    recorded_at = _moment(stored, troubles)
    return Record(
        stored.position,
        stored.stream,
        stored.version,
        stored.type,
        stored.schema,
        event,
        stored.data,
        recorded_at,
        metadata.event_id,
        metadata.actor,
        metadata.tenant,
        metadata.correlation_id,
        metadata.causation_id,
        "; ".join(troubles) or None,
    )


def _event(stored: StoredEvent, registry: Registry, troubles: list[str]) -> Any:
    try:
        return registry.decode(stored.type, stored.schema, stored.data)
    except DiptychError as error:
        troubles.append(error.message)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
        troubles.append(repr(error))
    return None


def _moment(stored: StoredEvent, troubles: list[str]) -> datetime | None:
    try:
        return moment(stored.recorded_us)
    except OverflowError:
        troubles.append(f"no calendar has the moment it was recorded at ({stored.recorded_us} us)")
        return None
