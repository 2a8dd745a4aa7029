"""The memory adapter keeps the guarantees of an event log."""

from __future__ import annotations

from diptych.adapters.memory.event_log import MemoryEventLog
from diptych.testing.contract.event_log import EventLogContract


class TestMemoryEventLog(EventLogContract):
    async def make_log(self):
        return MemoryEventLog()

    async def reopen(self, log):
        return None
