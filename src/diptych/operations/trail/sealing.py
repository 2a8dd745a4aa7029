"""Sealing: blocks of the log that are new since the last time get a line in the anchor.

Appends do not know of it and pay nothing; what is not sealed yet is not protected yet.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from diptych.errors import ConfigurationError, SealBroken
from diptych.events.log import EventLog
from diptych.operations.trail.anchor import Anchor
from diptych.operations.trail.blocks import Block, BlockReader
from diptych.operations.trail.history import Progress
from diptych.operations.trail.seal import Seal, origin_of

__all__ = ["Sealed", "seal_log"]

_EVENTS_PER_WRITE = 10_000
"""After so many events the anchor is made durable; killed before, they are hashed again."""


class Sealed(msgspec.Struct, frozen=True):
    """What one sealing did: `events` in `blocks` were added, so that all up to `upto` are sealed.

    `unsealed` events follow: less than a block. `mended`: a torn last line was taken away first.
    """

    log: str
    events: int
    blocks: int
    upto: int
    unsealed: int
    mended: bool = False


async def seal_log(
    log: EventLog,
    path: Path,
    *,
    every: int,
    to_head: bool,
    progress: Progress | None = None,
) -> Sealed:
    """Seal what follows the anchor's last line, up to the head of this moment; see Trail.seal."""
    if every < 1:
        raise ConfigurationError(f"a block of {every} events cannot be sealed: give at least 1.")
    with Anchor(path) as anchor:
        mended = anchor.mend()
        end = _end_of(anchor, log.identity, path)
        await end.check(log, path)
        head = await log.head()
        work = _Work(log, anchor, end, path)
        at = end.last
        while at + every <= head or (to_head and at < head):
            at = await work.add(at + 1, min(at + every, head))
            if progress is not None:
                progress(at, head)
        await work.write()
    return Sealed(log.identity, at - end.last, work.blocks, at, head - at, mended)


class _End:
    """Where an anchor stands: its last seal, and what that hangs on."""

    def __init__(self, log: str) -> None:
        self.before = self.hash = origin_of(log)
        self.first = 1
        self.last = 0

    def take(self, seal: Seal) -> None:
        self.before, self.hash = self.hash, bytes.fromhex(seal.hash)
        self.first, self.last = seal.first, seal.last

    async def check(self, log: EventLog, path: Path) -> None:
        """Raise SealBroken unless the last block is still there as it was sealed."""
        if not self.last:
            return
        block = await BlockReader(log).read(self.first, self.last, (self.before,))
        if block.hashes != (self.hash,):
            raise SealBroken(
                f"positions {self.first} to {self.last} are not what {path} says, so nothing is "
                "sealed on top of them. Find out what changed: diptych trail check.",
                first=self.first,
                last=self.last,
            )


def _end_of(anchor: Anchor, log: str, path: Path) -> _End:
    end = _End(log)
    for number, seal, _ in anchor.lines():
        if seal is None or seal.first != end.last + 1:
            raise SealBroken(
                f"line {number} of {path} is no seal of the block that follows position "
                f"{end.last}. Restore the anchor from a copy, or begin a new one.",
                line=number,
            )
        if seal.log != log:
            raise ConfigurationError(
                f"{path} is the anchor of the log {seal.log}, and this is the log {log}. Give "
                "every log an anchor of its own."
            )
        end.take(seal)
    return end


class _Work:
    """Blocks on their way into the anchor."""

    def __init__(self, log: EventLog, anchor: Anchor, end: _End, path: Path) -> None:
        self.blocks = 0
        self._log = log.identity
        self._reader = BlockReader(log)
        self._anchor = anchor
        self._hash = end.hash
        self._path = path
        self._seals: list[Seal] = []
        self._unwritten = 0

    async def add(self, first: int, last: int) -> int:
        block = await self._reader.read(first, last, (self._hash,))
        self._check(block, first, last)
        (self._hash,) = block.hashes
        self._seals.append(Seal(self._log, first, last, self._hash.hex()))
        self.blocks += 1
        self._unwritten += last - first + 1
        if self._unwritten >= _EVENTS_PER_WRITE:
            await self.write()
        return last

    async def write(self) -> None:
        seals, self._seals, self._unwritten = self._seals, [], 0
        if seals:
            await asyncio.to_thread(self._anchor.add, seals)

    def _check(self, block: Block, first: int, last: int) -> None:
        if block.missing is None and block.unreadable is None:
            return
        what = block.unreadable or f"position {block.missing} is missing"
        raise SealBroken(
            f"positions {first} to {last} cannot be sealed: {what}. Nothing is sealed from there "
            "on; restore the log from a backup.",
            first=first,
            last=last,
        )
