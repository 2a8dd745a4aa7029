"""The suite of the port EventLog.

`EventLogContract` is what an adapter is enrolled with. Its tests: `appending` (G1), `keeping` (G2,
G10, G11), `ordering` (G3, G4), `conflicts` (G5), `conditions` (G6), `commands` (G7), `neighbours`
(G8), `waiting` (G9), `within` (G12). `inline` is a suite of its own, for a log and a read store
that commit together. `words` is the language the tests are written in; `mixtures` makes appends of
any shape, and judges what becomes of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from diptych.events.log import EventLog
from diptych.testing.contract.event_log.appending import Appending
from diptych.testing.contract.event_log.commands import Commands
from diptych.testing.contract.event_log.conditions import Conditions
from diptych.testing.contract.event_log.conflicts import Conflicts
from diptych.testing.contract.event_log.neighbours import Neighbours
from diptych.testing.contract.event_log.ordering import Ordering
from diptych.testing.contract.event_log.waiting import Waiting
from diptych.testing.contract.event_log.within import Within

__all__ = ["EventLogContract"]


class EventLogContract(
    Appending, Ordering, Conflicts, Conditions, Commands, Neighbours, Waiting, Within
):
    """Every guarantee of an event log, as tests. Enrol an adapter with two methods, and with
    `transaction` if it can append in a transaction of others:

    ```python
    class TestMyEventLog(EventLogContract):
        async def make_log(self) -> EventLog:
            return MyEventLog(self.folder / "log.db")

        async def reopen(self, log: EventLog) -> EventLog | None:
            return MyEventLog(self.folder / "log.db")
    ```
    """

    async def make_log(self) -> EventLog:
        """A new, empty log, not yet open."""
        raise NotImplementedError

    @asynccontextmanager
    async def subject(self) -> AsyncIterator[EventLog]:
        """An empty log, open."""
        log = await self.make_log()
        await log.open()
        try:
            yield log
        finally:
            await log.close()

    @pytest.fixture
    async def log(self) -> AsyncIterator[EventLog]:
        """What each test judges."""
        async with self.subject() as log:
            yield log
