"""Log and read store in memory commit together."""

from __future__ import annotations

from diptych.adapters.memory.event_log import MemoryEventLog
from diptych.adapters.memory.read_store import MemoryReadStore
from diptych.testing.contract.event_log.inline import InlineContract, Pair


class TestMemoryInline(InlineContract):
    async def make_pair(self):
        return Pair(MemoryEventLog(), MemoryReadStore())
