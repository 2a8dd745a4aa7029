"""A log that takes appends only while a given stream stands where it is believed to stand.

With it, a decision made elsewhere ("from now on the other side writes") holds from one position of
the log on: no append that was made in ignorance of it comes after it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from diptych.errors import DiptychError, VersionConflict
from diptych.events.delegating import DelegatingLog
from diptych.events.log import Append, Appended, EventLog, StreamAppend

__all__ = ["GuardMoved", "GuardedLog"]


class GuardMoved(DiptychError):
    """The guarding stream has moved on: look at it, then begin again. Nothing was written."""

    code = "guard_moved"
    retryable = True


class GuardedLog(DelegatingLog):
    """Another log, whose appends also check the version that `believed` gives for `stream`."""

    def __init__(self, inner: EventLog, stream: str, believed: Callable[[], int]) -> None:
        super().__init__(inner)
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
