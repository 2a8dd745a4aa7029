"""The log and the read store in memory do what the model does."""

from __future__ import annotations

import os

from tests.simulation.model import PARTS, StoreAgainstModel, with_settings

from diptych import App
from diptych.adapters.memory.event_log import MemoryEventLog
from diptych.adapters.memory.read_store import MemoryReadStore
from diptych.testing.contract.faulty.shared import SharedLog, SharedStore


class OnMemory(StoreAgainstModel):
    def __init__(self) -> None:
        super().__init__()
        self.memory = MemoryEventLog(), MemoryReadStore()

    def make_app(self) -> App:
        log, store = self.memory
        return App("model", PARTS, write=SharedLog(log), read=SharedStore(store))


EXAMPLES = int(os.environ.get("DIPTYCH_EXAMPLES", "60"))
TestMemoryAgainstTheModel = with_settings(OnMemory, EXAMPLES, 25)
