"""Which events belong together: those of one conversation, and those that led to each other."""

from __future__ import annotations

import msgspec

from diptych.commands.table_repository import GENESIS
from diptych.events.log import EventLog
from diptych.messages.envelope import Metadata, StoredEvent
from diptych.operations.trail.history import Progress, pages
from diptych.operations.trail.record import metadata_of

__all__ = ["Kin", "find_kin"]


class Kin(msgspec.Struct):
    """Events that belong together, with their metadata, by position.

    `complete` is false when there are more of them than were asked for.
    """

    members: dict[int, tuple[StoredEvent, Metadata]]
    complete: bool = True


async def find_kin(
    log: EventLog,
    *,
    correlation_ids: set[str],
    event_ids: set[str],
    limit: int,
    progress: Progress | None = None,
) -> Kin:
    """All events of these conversations, these events, and whatever led to them or follows.

    An event belongs to what is known when it has a known correlation id, is known to have caused
    something, or was caused by a known event. A cause stands before its effect in the log, so one
    reading finds everything that follows. Only when that has brought up a new conversation or a
    cause that was not met yet, the log is read once more, until nothing new comes up.
    """
    search = _Search(set(correlation_ids), set(event_ids), limit)
    head = await log.head()
    while search.again:
        search.again = False
        async for page in pages(log, 0, head):
            search.look_at(page)
            if search.full:
                break
            if progress is not None:
                progress(page[-1].position, head)
    members = dict(sorted(search.members.items()))
    return Kin(members, complete=not search.full)


class _Search:
    """What is known so far, and who belongs to it."""

    def __init__(self, correlations: set[str], sought: set[str], limit: int) -> None:
        self.members: dict[int, tuple[StoredEvent, Metadata]] = {}
        self.again = True
        self.full = False
        self._limit = limit
        self._correlations = correlations
        # A conversation may have begun with an event, whose id then names it.
        self._sought = sought | correlations
        self._found: set[str] = set()

    def look_at(self, page: list[StoredEvent]) -> None:
        for stored in page:
            metadata = metadata_of(stored)
            if metadata is None or stored.position in self.members or not self._is_kin(metadata):
                continue
            if len(self.members) >= self._limit:
                self.full, self.again = True, False
                return
            self.members[stored.position] = stored, metadata
            self._learn(metadata)

    def _is_kin(self, metadata: Metadata) -> bool:
        return (
            metadata.correlation_id in self._correlations
            or metadata.event_id in self._sought
            or metadata.causation_id in self._found
        )

    def _learn(self, metadata: Metadata) -> None:
        self._found.add(metadata.event_id)
        correlation, cause = metadata.correlation_id, metadata.causation_id
        # Genesis is shared by all rows of a table: who asks for it gets it, nobody is led there.
        if correlation not in (None, GENESIS) and correlation not in self._correlations:
            self._correlations.add(correlation)
            self.again = True
        if cause not in (None, GENESIS) and not self._is_known(cause):
            self._sought.add(cause)
            self.again = True

    def _is_known(self, event_id: str) -> bool:
        return event_id in self._found or event_id in self._sought
