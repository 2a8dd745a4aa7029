"""A log that takes appends only while a given stream stands where it is believed to stand.

With it, a decision made elsewhere ("from now on the other side writes") holds from one position of
the log on: no append that was made in ignorance of it comes after it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from diptych.errors import DiptychError, VersionConflict
from diptych.events.condition import EventFilter
from diptych.events.log import (
    Append,
    Appended,
    CommandRecord,
    EventLog,
    Participant,
    Snapshot,
    StoredEvent,
    StreamAppend,
)

__all__ = ["GuardMoved", "GuardedLog"]


class GuardMoved(DiptychError):
    """The guarding stream has moved on: look at it, then begin again. Nothing was written."""

    code = "guard_moved"
    retryable = True


class GuardedLog:
    """Another log, whose appends also check the version that `believed` gives for `stream`."""

    def __init__(self, inner: EventLog, stream: str, believed: Callable[[], int]) -> None:
        self.inner = inner
        self._stream = stream
        self._believed = believed

    async def append(self, append: Append) -> Appended:
        """As EventLog.append. Raises GuardMoved."""
        try:
            return await self.inner.append(self._guarded(append))
        except VersionConflict as conflict:
            raise self._meant(conflict) from conflict

    async def append_within(self, transaction: Any, append: Append) -> Appended:
        """As EventLog.append_within. Raises GuardMoved."""
        try:
            return await self.inner.append_within(transaction, self._guarded(append))
        except VersionConflict as conflict:
            raise self._meant(conflict) from conflict

    def _guarded(self, append: Append) -> Append:
        check = StreamAppend(self._stream, self._believed(), ())
        return msgspec.structs.replace(append, streams=(*append.streams, check))

    def _meant(self, conflict: VersionConflict) -> DiptychError:
        if conflict.stream != self._stream:
            return conflict
        return GuardMoved(stream=self._stream)

    # -- everything else as it is ------------------------------------------------------------------

    @property
    def identity(self) -> str:
        """See EventLog."""
        return self.inner.identity

    @property
    def volatile(self) -> bool:
        """See EventLog."""
        return self.inner.volatile

    def describe(self) -> dict[str, str]:
        """See EventLog."""
        return self.inner.describe()

    async def open(self) -> None:
        """See EventLog."""
        await self.inner.open()

    async def read(
        self, after: int, limit: int, filters: tuple[EventFilter, ...] = ()
    ) -> list[StoredEvent]:
        """See EventLog."""
        return await self.inner.read(after, limit, filters)

    async def read_stream(
        self, stream: str, after: int = 0, limit: int | None = None
    ) -> list[StoredEvent]:
        """See EventLog."""
        return await self.inner.read_stream(stream, after, limit)

    async def head(self) -> int:
        """See EventLog."""
        return await self.inner.head()

    async def wait(self, after: int) -> int:
        """See EventLog."""
        return await self.inner.wait(after)

    async def snapshot(self, stream: str) -> Snapshot | None:
        """See EventLog."""
        return await self.inner.snapshot(stream)

    async def command(self, command_id: str) -> CommandRecord | None:
        """See EventLog."""
        return await self.inner.command(command_id)

    def when_in_doubt(self, forget: Callable[[], None]) -> None:
        """See EventLog."""
        self.inner.when_in_doubt(forget)

    def join(self, participant: Participant) -> None:
        """See EventLog."""
        self.inner.join(participant)

    async def close(self) -> None:
        """See EventLog."""
        await self.inner.close()
