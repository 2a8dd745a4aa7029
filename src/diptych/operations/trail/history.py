"""Which events: of a stream or of all, by who, what, when and why, a page at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import msgspec

from diptych.errors import ConfigurationError
from diptych.events.condition import EventFilter
from diptych.events.log import EventLog
from diptych.messages.envelope import StoredEvent
from diptych.operations.trail.record import metadata_of

__all__ = ["Progress", "Wanted", "microseconds", "pages", "wanted_events"]

Progress = Callable[[int, int], None]
"""Called with the position reached and the last position that will be looked at."""

_PAGE = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which events are wanted: those that meet everything that is said here.

    `after` is exclusive, all other limits include what they name. `since` and `until` look at each
    event's own `recorded_at`; as that need not ascend, they do not end the reading early.
    """

    stream: str | None = None
    types: tuple[str, ...] = ()
    actor: str | None = None
    tenant: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    after: int = 0
    upto: int | None = None
    since: datetime | None = None
    until: datetime | None = None


async def wanted_events(
    log: EventLog, wanted: Wanted, progress: Progress | None = None
) -> AsyncGenerator[StoredEvent, None]:
    """The events up to the head of this moment, ascending; never more than a page in memory."""
    test = _Test(wanted)
    head = await log.head()
    upto = head if wanted.upto is None else min(wanted.upto, head)
    if wanted.stream is None:
        filters = (EventFilter(wanted.types),) if wanted.types else ()
        reading = pages(log, wanted.after, upto, filters)
    else:
        reading = _pages_of_stream(log, wanted.stream, upto)
    async for page in reading:
        for stored in page:
            if test.holds(stored):
                yield stored
        if progress is not None:
            progress(page[-1].position, upto)


async def pages(
    log: EventLog, after: int, upto: int, filters: tuple[EventFilter, ...] = ()
) -> AsyncIterator[list[StoredEvent]]:
    """The log from a position on, up to and including another, in pages that are not empty."""
    while after < upto:
        page = await log.read(after, min(_PAGE, upto - after), filters)
        page = [one for one in page if one.position <= upto]
        if not page:
            return
        yield page
        after = page[-1].position


async def _pages_of_stream(
    log: EventLog, stream: str, upto: int
) -> AsyncIterator[list[StoredEvent]]:
    version = 0
    while page := await log.read_stream(stream, version, _PAGE):
        version = page[-1].version
        ended = page[-1].position > upto  # positions order a stream as versions do
        page = [one for one in page if one.position <= upto]
        if page:
            yield page
        if ended:
            return


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970. Raises ConfigurationError for a time without a zone."""
    if moment.tzinfo is None:
        raise ConfigurationError(
            f"{moment.isoformat()} could be meant in any time zone: give it one, as in "
            f"datetime({moment.year}, {moment.month}, {moment.day}, tzinfo=UTC)."
        )
    return (moment - _EPOCH) // timedelta(microseconds=1)


class _Test:
    """What an event must look like; metadata is decoded only if somebody asks for it."""

    def __init__(self, wanted: Wanted) -> None:
        self._types = frozenset(wanted.types)
        self._after = wanted.after
        self._since = None if wanted.since is None else microseconds(wanted.since)
        self._until = None if wanted.until is None else microseconds(wanted.until)
        said = {
            "actor": wanted.actor,
            "tenant": wanted.tenant,
            "correlation_id": wanted.correlation_id,
            "causation_id": wanted.causation_id,
        }
        self._said = [(name, value) for name, value in said.items() if value is not None]

    def holds(self, stored: StoredEvent) -> bool:
        if stored.position <= self._after or (self._types and stored.type not in self._types):
            return False
        if self._since is not None and stored.recorded_us < self._since:
            return False
        if self._until is not None and stored.recorded_us > self._until:
            return False
        return not self._said or self._was_said(stored)

    def _was_said(self, stored: StoredEvent) -> bool:
        metadata = metadata_of(stored)
        if metadata is None:
            return False
        return all(getattr(metadata, name) == value for name, value in self._said)
