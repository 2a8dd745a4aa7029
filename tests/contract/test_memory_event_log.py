"""The memory adapter keeps the guarantees of an event log."""

from __future__ import annotations

from diptych.adapters.memory.event_log import MemoryEventLog
from diptych.environment import Environment
from diptych.testing.contract.event_log import EventLogContract
from diptych.testing.contract.event_log.words import add, everything


class TestMemoryEventLog(EventLogContract):
    async def make_log(self):
        return MemoryEventLog()

    async def reopen(self, log):
        return None


async def test_time_comes_from_the_environment():
    environment = Environment.seeded(7)
    log = MemoryEventLog(environment=environment)
    await log.open()
    await log.append(add("a"))
    environment.advance(1)
    await log.append(add("a"))
    first, second = await everything(log)
    assert second.recorded_us - first.recorded_us == 1_000_000
    assert MemoryEventLog(environment=Environment.seeded(7)).identity == log.identity
