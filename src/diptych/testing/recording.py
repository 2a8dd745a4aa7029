"""Events as a scenario gives them: bare, or with what is recorded around them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from diptych.events.log import StoredEvent
from diptych.messages.codec import Codec
from diptych.messages.envelope import Envelope, Metadata
from diptych.messages.kinds import identity_of
from diptych.testing.difference import differences

__all__ = ["Recorded", "bare", "check_stored", "codec_of", "envelopes_of", "recorded"]

_START = datetime(2026, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Recorded(msgspec.Struct, frozen=True):
    """An event with what its envelope says; see `recorded`."""

    event: Any
    at: datetime | None = None
    stream: str | None = None
    actor: str | None = None
    tenant: str | None = None

    def __repr__(self) -> str:
        around = [
            f"{name}={value!r}"
            for name in self.__struct_fields__[1:]
            if (value := getattr(self, name)) is not None
        ]
        return f"{self.event!r} recorded with {', '.join(around)}" if around else repr(self.event)


def recorded(
    event: Any,
    *,
    at: datetime | None = None,
    stream: str | None = None,
    actor: str | None = None,
    tenant: str | None = None,
) -> Recorded:
    """An event with its envelope: when it was recorded, in which stream, who gave the command.

    Without it, a scenario records its events a second apart, from 2026-01-01 00:00:00 UTC.

    >>> recorded("something happened", actor="ann")
    'something happened' recorded with actor='ann'
    """
    return Recorded(event, at, stream, actor, tenant)


def bare(events: Iterable[Any]) -> list[Any]:
    """The events themselves."""
    return [one.event if isinstance(one, Recorded) else one for one in events]


def envelopes_of(events: Sequence[Any]) -> list[Envelope]:
    """Envelopes at positions 1, 2, 3 ... with metadata that every run repeats."""
    versions: dict[str, int] = {}
    made = []
    for position, given in enumerate(events, start=1):
        one = given if isinstance(given, Recorded) else Recorded(given)
        stream = one.stream or "scenario-1"
        versions[stream] = version = versions.get(stream, 0) + 1
        at = one.at or _START + timedelta(seconds=position - 1)
        meta = Metadata(f"event-{position}", "scenario", "scenario", one.actor, one.tenant)
        identity = identity_of(type(one.event))
        recorded_us = (at - _EPOCH) // timedelta(microseconds=1)
        stored = StoredEvent(
            position,
            stream,
            version,
            identity.name,
            identity.version,
            check_stored(one.event),
            msgspec.json.encode(meta),
            recorded_us,
        )
        made.append(Envelope(one.event, stored))
    return made


def codec_of(cls: type) -> Codec:
    """The codec of a message class; looking at a class takes longer than encoding its messages."""
    return _codec_of(cls)


@functools.lru_cache(maxsize=512)
def _codec_of(cls: Any) -> Codec:
    return Codec(cls, identity_of(cls).name)


def check_stored(message: Any) -> bytes:
    """The JSON of a message, having checked that it can be stored and comes back equal.

    Raises AssertionError that names the field.
    """
    codec = codec_of(type(message))
    data = codec.encode(message)
    lost = differences(message, codec.decode(data))
    if lost:
        raise AssertionError(
            "\n".join(
                [f"{codec.name} does not survive being stored.", "", *(f"  {one}" for one in lost)]
            )
        )
    return data
