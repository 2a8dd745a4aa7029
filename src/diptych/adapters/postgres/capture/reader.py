"""One look at the slot: peek, append, advance, in this order, so that nothing can be lost.

The server decodes a look as a whole and keeps it, on disk if it is large; rows come from there a
few hundred at a time. What this process holds is bounded: the changes of one append.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime

import msgspec

from diptych.adapters.postgres.capture.beginning import Attached
from diptych.adapters.postgres.capture.chain import Link, Place
from diptych.adapters.postgres.capture.mapped import Streamed, joined
from diptych.adapters.postgres.capture.pgoutput import decode
from diptych.adapters.postgres.capture.statements import sql
from diptych.adapters.postgres.capture.transactions import Ended, Placed, Transactions
from diptych.adapters.postgres.silence import WatchedConnection
from diptych.errors import CaptureFailed

__all__ = ["Limits", "Reader"]

_BEHIND_BYTES = 1024 * 1024
"""How much the slot may keep that holds nothing for us before it is let go: advancing decodes once
more, so not after every look."""

_FETCH = 500


class Limits(msgspec.Struct, frozen=True):
    """What a look and an append may hold.

    `rows` of a look, after which it begins no further transaction; `together` changes of several
    transactions in one append; `changes` and `bytes` of one transaction in one append: a larger one
    is appended in parts.
    """

    rows: int = 20_000
    together: int = 1_000
    changes: int = 10_000
    bytes: int = 16 * 1024 * 1024


class Reader:
    """Looks at one slot through one connection. `appended` counts events; `last_lsn` and `last_at`
    are of the last transaction that is durable in the log.
    """

    def __init__(
        self,
        connection: WatchedConnection,
        slot: str,
        attached: Attached,
        limits: Limits,
    ) -> None:
        self.appended = 0
        self.last_lsn = ""
        self.last_at: datetime | None = None
        self.reached = 0
        self._connection = connection
        self._slot = slot
        self._tables = attached.tables
        self._chain = attached.chain
        self._mapped = attached.mapped
        self._seen = attached.seen
        self._limits = limits
        self._covered = Link(Place(0, -1))
        self._open: list[Placed] = []
        self._open_bytes = 0
        self._batch: list[Placed] = []
        self._ends: dict[int, int] = {}
        self._events: Streamed = {}

    async def look(self) -> bool:
        """Bring what was committed by now into the log; whether there may be more at once.

        Raises CaptureFailed before the transaction that could not be told, what the log raises, and
        driver errors; the slot has not passed anything then that is not in the log.
        """
        flushed: int = (await self._connection.fetchrow(sql("select_flushed")))["flushed"]
        if flushed == self.reached:
            return False  # nobody has written anything, in any database of the server
        self._forget()
        rows, last = await self._take_all(flushed)
        complete = rows < self._limits.rows
        # Somebody else may have appended more at once than this look has seen.
        upto = max(flushed if complete else last, self._covered.end_lsn)
        if rows or upto - self.reached > _BEHIND_BYTES:
            await self._connection.fetch(sql("advance_slot"), self._slot, upto)
        if complete:
            self.reached = flushed
        return not complete

    async def _take_all(self, flushed: int) -> tuple[int, int]:
        transactions = Transactions(self._tables)
        rows, last = 0, 0
        async with self._connection.transaction():
            parameters = (self._slot, flushed, self._limits.rows, self._slot)
            patiently = self._connection.patiently
            peek = await patiently(self._connection.cursor(sql("peek_changes"), *parameters))
            while some := await patiently(peek.fetch(_FETCH)):
                for row in some:
                    if row["data"] is None:
                        rows, last = row["rows"], row["upto"] or 0
                        continue
                    for one in transactions.follow(decode(row["data"])):
                        await self._take(one, len(row["data"]))
            await self._flush()
        return rows, last

    async def _take(self, one: Placed | Ended, size: int) -> None:
        if isinstance(one, Ended):
            changes, self._open, self._open_bytes = self._open, [], 0
            if changes:
                await self._join(changes, one.end_lsn)
            return
        if _place(one) <= self._covered.last:
            return  # another look, or another process, has brought it into the log
        if self._seen and self._seen.includes(one.change.transaction, one.lsn):
            return  # the rows at the beginning showed it
        self._open.append(one)
        self._open_bytes += size
        limits = self._limits
        if len(self._open) >= limits.changes or self._open_bytes >= limits.bytes:
            await self._append_part()

    async def _append_part(self) -> None:
        """Append what has come so far of a transaction that is too large to be held."""
        for one in self._open:
            if self._mapped.is_whole(one.change.table):
                raise self._too_large(one)
        await self._flush()
        changes, self._open, self._open_bytes = self._open, [], 0
        await self._join(changes, 0)
        await self._flush()

    async def _join(self, changes: Sequence[Placed], end_lsn: int) -> None:
        """Add a transaction to the next append, or append what came before it first."""
        if len(self._batch) + len(changes) > self._limits.together:
            await self._flush()
        changes = [one for one in changes if _place(one) > self._covered.last]
        if not changes:
            return
        try:
            events = await self._mapped.streamed([one.change for one in changes])
            together = joined(self._events, events)
        except CaptureFailed:
            if not self._batch:
                raise
            together = False
        if not together:
            await self._flush()
            await self._join(changes, end_lsn)
            return
        self._batch += changes
        self._ends[changes[0].lsn] = end_lsn

    async def _flush(self) -> None:
        while self._batch:
            batch, events, ends = self._batch, self._events, self._ends
            self._batch, self._events, self._ends = [], {}, {}
            link = Link(_place(batch[-1]), ends[batch[-1].lsn])
            self._covered, written = await self._chain.append(_place(batch[0]), link, events)
            self.appended += written
            self.last_lsn, self.last_at = batch[-1].change.lsn, batch[-1].change.committed_at
            if self._covered.last < link.last:
                # Somebody has cut here before. The rest is an append of its own.
                await self._join_again(batch, ends)

    async def _join_again(self, changes: Sequence[Placed], ends: dict[int, int]) -> None:
        for lsn, together in itertools.groupby(changes, lambda one: one.lsn):
            await self._join(list(together), ends[lsn])

    def _forget(self) -> None:
        self._open, self._open_bytes = [], 0
        self._batch, self._ends, self._events = [], {}, {}

    def _too_large(self, one: Placed) -> CaptureFailed:
        limits = self._limits
        return CaptureFailed(
            f"the capture {self._slot} stands before the transaction at {one.change.lsn}: the "
            f"mapping of {one.change.table} wants it whole, and it has more than "
            f"{limits.changes:,} changes or {limits.bytes:,} bytes. Nothing was skipped; let the "
            "mapping take a RowChange, or raise Capture(..., limits=Limits(changes=..., bytes=...))"
            " and start again.",
            slot=self._slot,
            table=one.change.table,
            key=dict(one.change.key),
            lsn=one.change.lsn,
        )


def _place(one: Placed) -> Place:
    return Place(one.lsn, one.number)
