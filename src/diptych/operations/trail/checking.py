"""Checking: is the log still what was sealed, and if not, which block is the first that is not?

Every block is hashed on what its anchor says of the block before, so one changed event breaks one
block and not all that follow. When it is the anchor that was changed, the next line gives that
away: it still hangs on what the log says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from diptych.events.log import EventLog
from diptych.operations.trail.anchor import AnchorLine, read_anchor
from diptych.operations.trail.blocks import Block, BlockReader
from diptych.operations.trail.history import Progress
from diptych.operations.trail.seal import Seal, origin_of

__all__ = ["Finding", "SealCheck", "check_log"]

_MOST_FINDINGS = 1_000


class Finding(msgspec.Struct):
    """Positions `first` to `last` are not as line `line` of the anchor says, and why.

    `changed` says what was changed: the log, or the anchor itself.
    """

    first: int
    last: int
    line: int
    changed: Literal["log", "anchor"]
    why: str


class SealCheck(msgspec.Struct):
    """What was found: `events` of the log, in `blocks`, are exactly what was sealed.

    `upto` is the last sealed position, `head` the log's; what lies between was not checked.
    `findings` are in the order of the anchor's lines (the first 1,000 of `faults`). `torn`: the
    last line was not written to its end, which is how a sealing that was stopped looks.
    """

    log: str
    events: int = 0
    blocks: int = 0
    upto: int = 0
    head: int = 0
    faults: int = 0
    findings: list[Finding] = []
    torn: bool = False

    @property
    def ok(self) -> bool:
        """Whether log and anchor agree."""
        return not self.faults


async def check_log(log: EventLog, path: Path, progress: Progress | None = None) -> SealCheck:
    """Hash every sealed block again, and compare; see Trail.check."""
    check = _Check(log, await log.head())
    for line in read_anchor(path):
        if not await check.look_at(line):
            break
        if progress is not None:
            progress(check.found.upto, max(check.found.head, check.found.upto))
    return await check.finished()


class _Check:
    """Goes along the anchor's lines, and beside it along the log."""

    def __init__(self, log: EventLog, head: int) -> None:
        self.found = SealCheck(log.identity, head=head)
        self._log = log
        self._reader = BlockReader(log)
        self._begin_on: tuple[bytes, ...] = (origin_of(log.identity),)
        self._doubtful: list[Finding] = []  # those that may turn out to be the anchor's fault
        self._line_lost = False
        self._lines = 0

    async def look_at(self, line: AnchorLine) -> bool:
        """Check one line; false when there is no sense in going on."""
        self._lines += 1
        seal = line.seal
        if line.torn:
            self.found.torn = True
        elif seal is None:
            self._anchor_changed(line.number, None, "it cannot be read")
            self._line_lost = True
        elif seal.log != self._log.identity:
            self._anchor_changed(
                line.number, seal, f"it seals the log {seal.log}, and this is {self._log.identity}"
            )
            return False
        elif seal.first <= self.found.upto:
            self._anchor_changed(
                line.number, seal, f"positions up to {self.found.upto} were sealed before it"
            )
        else:
            await self._bridge(line.number, seal)
            await self._compare(line.number, seal)
        return True

    async def finished(self) -> SealCheck:
        """What was found, when there are no more lines."""
        found = self.found
        if not found.blocks and not found.faults:
            self._note(Finding(0, 0, self._lines, "anchor", "the anchor holds no seal"))
        found.head = await self._log.head()
        return found

    async def _bridge(self, number: int, seal: Seal) -> None:
        """Go on over a line that is lost: if it was one, what follows hangs on what it covered."""
        first, last = self.found.upto + 1, seal.first - 1
        if first <= last:
            if not self._line_lost:
                why = f"it begins at {seal.first}, and nothing seals {first} to {last}"
                self._anchor_changed(number, seal, f"{why}: lines before it are lost")
            block = await self._reader.read(first, last, self._begin_on)
            self._begin_on = block.hashes
        self._line_lost = False

    async def _compare(self, number: int, seal: Seal) -> None:
        block = await self._reader.read(seal.first, seal.last, self._begin_on)
        sealed = bytes.fromhex(seal.hash)
        self.found.upto = seal.last
        whole = block.missing is None and block.unreadable is None
        if whole and sealed in block.hashes:
            self.found.blocks += 1
            self.found.events += seal.last - seal.first + 1
            if sealed != block.hashes[0]:
                self._blame_the_anchor()
            self._doubtful = []
            self._begin_on = (sealed,)
            return
        finding = Finding(seal.first, seal.last, number, "log", await self._why(block, seal))
        self._note(finding)
        self._doubtful.append(finding)
        self._begin_on = (sealed, block.hashes[-1])

    async def _why(self, block: Block, seal: Seal) -> str:
        if block.unreadable is not None:
            return f"it cannot be read: {block.unreadable}"
        if block.missing is None:
            return "it is not what was sealed: an event was changed, or put in another place"
        head = await self._log.head()
        if block.missing > head:
            return f"the log ends at position {head}; what was sealed behind it is gone"
        return f"position {block.missing} is gone"

    def _blame_the_anchor(self) -> None:
        """The log leads to a later seal without these: it is as it was, their lines are not."""
        for one in self._doubtful:
            one.changed = "anchor"
            one.why = (
                f"line {one.line} was changed: the next line that holds still follows from the log"
            )

    def _anchor_changed(self, number: int, seal: Seal | None, why: str) -> None:
        first = seal.first if seal else self.found.upto + 1
        last = seal.last if seal else self.found.upto + 1
        self._note(Finding(first, last, number, "anchor", f"line {number}: {why}"))

    def _note(self, finding: Finding) -> None:
        self.found.faults += 1
        if len(self.found.findings) < _MOST_FINDINGS:
            self.found.findings.append(finding)
