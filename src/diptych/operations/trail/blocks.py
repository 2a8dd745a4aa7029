"""Blocks of the log, hashed: read in pages of any size, in bounded memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from hashlib import sha256

import msgspec

from diptych.errors import StoreError, StoreUnavailable
from diptych.events.log import EventLog, StoredEvent
from diptych.operations.trail.seal import NOT_AN_EVENT, canonical

__all__ = ["Block", "BlockReader"]

_PAGE = 2_000


class Block(msgspec.Struct):
    """What became of reading one block.

    `hashes` go with the hashes that it was begun on; `missing` is the first position that is not
    there; `unreadable` says what stands where there should be an event.
    """

    hashes: tuple[bytes, ...] = ()
    missing: int | None = None
    unreadable: str | None = None


class BlockReader:
    """Reads a log block after block, ascending."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._ahead: list[StoredEvent] = []

    async def read(self, first: int, last: int, begin_on: Sequence[bytes]) -> Block:
        """Hash the events at `first` to `last`, once for each hash that the block may hang on.

        Raises StoreUnavailable; a log that cannot be read for what stands in it is a finding.
        """
        sums = [sha256(one) for one in begin_on]
        block = Block()
        at = first - 1
        while at < last:
            try:
                events = await self._events(at, last)
                content = canonical(events)
            except StoreUnavailable:
                raise
            except (*NOT_AN_EVENT, StoreError) as error:
                block.unreadable = f"{type(error).__name__}: {error}"
                break
            if block.missing is None:
                block.missing = _first_missing(events, at, last)
            if not events:
                break
            for one in sums:
                one.update(content)
            at = events[-1].position
        block.hashes = tuple(one.digest() for one in sums)
        return block

    async def _events(self, after: int, last: int) -> list[StoredEvent]:
        """The next events of a block: as many as are at hand, or one more page of them."""
        if not self._ahead or self._ahead[0].position != after + 1:
            self._ahead = await self._page(after, last)
        count = bisect_right(self._ahead, last, key=_position)
        events, self._ahead = self._ahead[:count], self._ahead[count:]
        return events

    async def _page(self, after: int, last: int) -> list[StoredEvent]:
        try:
            return await self._log.read(after, _PAGE)
        except StoreUnavailable:
            raise
        except (*NOT_AN_EVENT, StoreError):
            # Something on this page cannot be read: look at no more than the block itself.
            return await self._log.read(after, min(_PAGE, last - after))


def _position(event: StoredEvent) -> int:
    return event.position


def _first_missing(events: Sequence[StoredEvent], after: int, last: int) -> int | None:
    """The first position after `after` that is not in events which should hold it."""
    expected = after
    for one in events:
        expected += 1
        if one.position != expected:
            return expected
    return None if events or after >= last else after + 1
