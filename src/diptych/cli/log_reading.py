"""Reading a log for people: the last few events, those after a position, those to come."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from diptych.environment import moment
from diptych.events.condition import EventFilter
from diptych.events.log import EventLog
from diptych.messages.envelope import Metadata, StoredEvent

__all__ = ["Selection", "as_facts", "as_json_line", "last_events", "later_events", "new_events"]

_PAGE = 1_000

_encode = msgspec.json.Encoder().encode
_decode_meta = msgspec.json.Decoder(Metadata).decode


class Selection(msgspec.Struct, frozen=True):
    """Which events are meant: of these types (none: all), of this stream (None: all)."""

    types: tuple[str, ...] = ()
    stream: str | None = None

    @property
    def filters(self) -> tuple[EventFilter, ...]:
        """For EventLog.read."""
        return (EventFilter(self.types),) if self.types else ()

    def matches(self, event: StoredEvent) -> bool:
        """Whether this event is meant."""
        return (not self.types or event.type in self.types) and self.stream in (None, event.stream)


async def last_events(log: EventLog, selection: Selection, limit: int) -> list[StoredEvent]:
    """The last `limit` events, ascending, reading no more of the log than it takes."""
    if selection.stream is not None:
        found: deque[StoredEvent] = deque(maxlen=limit)
        async for event in _of_stream(log, selection, 0):
            found.append(event)
        return list(found)
    head = await log.head()
    window = limit
    while True:
        after = max(0, head - window)
        events = [one async for one in _of_log(log, selection, after, head)]
        if len(events) >= limit or after == 0:
            return events[-limit:] if limit else []
        window *= 8


async def later_events(
    log: EventLog, selection: Selection, after: int
) -> AsyncIterator[StoredEvent]:
    """The events after a position, up to the head of this moment."""
    if selection.stream is not None:
        async for event in _of_stream(log, selection, after):
            yield event
        return
    async for event in _of_log(log, selection, after, await log.head()):
        yield event


async def new_events(log: EventLog, selection: Selection, after: int) -> AsyncIterator[StoredEvent]:
    """The events after a position, for ever."""
    version = 0
    while True:
        head = await log.wait(after)
        if selection.stream is None:
            async for event in _of_log(log, selection, after, head):
                yield event
        else:
            async for event in _of_stream(log, selection, after, version):
                version = event.version
                head = max(head, event.position)
                yield event
        after = head


async def _of_log(
    log: EventLog, selection: Selection, after: int, head: int
) -> AsyncIterator[StoredEvent]:
    while after < head:
        page = await log.read(after, min(_PAGE, head - after), selection.filters)
        for event in page:
            if event.position > head:
                return
            yield event
        if len(page) < min(_PAGE, head - after):
            return
        after = page[-1].position


async def _of_stream(
    log: EventLog, selection: Selection, after: int, version: int = 0
) -> AsyncIterator[StoredEvent]:
    assert selection.stream is not None  # noqa: S101  asked before
    while page := await log.read_stream(selection.stream, version, _PAGE):
        for event in page:
            if event.position > after and selection.matches(event):
                yield event
        version = page[-1].version


def as_facts(event: StoredEvent) -> dict[str, Any]:
    """An event as one object."""
    return _facts(event, msgspec.json.decode(event.data))


def as_json_line(event: StoredEvent) -> str:
    """An event as one line of JSON; what was stored is not decoded for it."""
    return _encode(_facts(event, msgspec.Raw(event.data))).decode()


def _facts(event: StoredEvent, data: Any) -> dict[str, Any]:
    meta = _decode_meta(event.meta)
    return {
        "position": event.position,
        "stream": event.stream,
        "version": event.version,
        "type": event.type,
        "schema": event.schema,
        "recorded_at": moment(event.recorded_us),
        "event_id": meta.event_id,
        "actor": meta.actor,
        "tenant": meta.tenant,
        "correlation_id": meta.correlation_id,
        "causation_id": meta.causation_id,
        "data": data,
    }
