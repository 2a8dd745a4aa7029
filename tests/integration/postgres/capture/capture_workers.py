"""What other processes do in these tests: `python capture_workers.py capture <url> <file> ...`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from diptych import Event
from diptych.adapters.postgres.capture import Capture
from diptych.adapters.postgres.capture.pgoutput import decode
from diptych.adapters.postgres.capture.reader import Limits, Reader
from diptych.adapters.postgres.capture.statements import sql
from diptych.adapters.postgres.capture.transactions import Transactions
from diptych.adapters.sqlite.event_log import SqliteEventLog
from diptych.events.capture import RowChange, captures
from diptych.events.log import Append, Appended

SMALL = Limits(rows=60, together=7, changes=20)


class OrderChanged(Event, stream="order-{stream}"):
    stream: int
    id: int
    operation: str
    state: str | None
    transaction: int


@captures("orders")
def order_changes(change: RowChange) -> OrderChanged | None:
    if change.operation == "truncate":
        return None
    id = change.row["id"]  # noqa: A001
    state = change.row.get("state")
    return OrderChanged(id % 10, id, change.operation, state, change.transaction)


class DyingLog(SqliteEventLog):
    """Kills its process in an append: `before` or `after` it is done."""

    dies = 0
    when = ""

    async def append(self, append: Append) -> Appended:
        self.dies -= 1
        if self.dies == 0 and self.when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = await super().append(append)
        if self.dies == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        os.write(1, b"appended\n")
        return done


class NaiveReader(Reader):
    """Advances before it appends."""

    async def look(self) -> bool:
        flushed = (await self._connection.fetchrow(sql("select_flushed")))["flushed"]
        if flushed == self.reached:
            return False
        peeked = await self._connection.fetch(
            sql("peek_changes"), self._slot, flushed, 1_000_000, self._slot
        )
        await self._connection.fetch(sql("advance_slot"), self._slot, flushed)
        transactions = Transactions(self._tables)
        for row in peeked:
            if row["data"] is not None:
                for one in transactions.follow(decode(row["data"])):
                    await self._take(one, len(row["data"]))
        await self._flush()
        self.reached = flushed
        return False


async def capture(url: str, path: str, dies: str = "0", when: str = "", naive: str = "") -> None:
    """Capture for ever into an SQLite file, and say so after each append."""
    if naive:
        from diptych.adapters.postgres.capture import capture as module

        module.Reader = NaiveReader
    log = DyingLog(path)
    log.dies, log.when = int(dies), when
    await log.open()
    running = Capture(url, log, [order_changes], limits=SMALL)
    async with running:
        said = ""
        while True:
            if running._state != said:
                said = running._state
                os.write(1, f"{said}\n".encode())
            async with running._moved:
                await running._moved.wait()


if __name__ == "__main__":
    task, *arguments = sys.argv[1:]
    asyncio.run({"capture": capture}[task](*arguments))
