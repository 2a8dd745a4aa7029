"""The memory adapter keeps the guarantees of a read store."""

from __future__ import annotations

from diptych.adapters.memory.read_store import MemoryReadStore
from diptych.testing.contract.read_store import ReadStoreContract
from diptych.testing.contract.standings import StandingsContract


class TestMemoryReadStore(ReadStoreContract):
    async def make_store(self):
        return MemoryReadStore()

    async def reopen(self, store):
        return None


class TestMemoryStandings(StandingsContract):
    async def make_store(self):
        return MemoryReadStore()

    async def reopen(self, store):
        return None
