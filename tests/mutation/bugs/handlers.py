"""Bugs of event handlers: what the world outside is told twice."""

from __future__ import annotations

from tests.mutation.bug import Patch, bug
from tests.mutation.patching import rewritten

from diptych.sync.handling import Handling

__all__: list[str] = []

HANDLERS = "tests/unit/sync/test_event_handlers.py::"


@bug(
    "Marten #4963, #4729",
    "A new handler, or a new version of one, does all over again outside what history tells",
    [HANDLERS + "test_f34_a_new_handler_sends_nothing_for_history_unless_told"],
)
def history_sent_by_a_new_handler() -> Patch:
    return rewritten(Handling._begin, ('if source.spec.start == "now" else 0', "if False else 0"))
