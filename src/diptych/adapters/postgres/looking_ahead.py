"""Looking for forbidden events before the log is locked.

A condition without tags has to look at every event after its position. Done under the lock, that
would stop everybody else for as long as it takes; but what was committed does not change, so all of
it up to the head can be looked at before, and only the few events that come meanwhile remain.
"""

from __future__ import annotations

import msgspec

from diptych.adapters.postgres.reader import LogReader
from diptych.events.condition import AppendCondition
from diptych.events.log import Append

__all__ = ["look_ahead"]

_FAR = 1000
"""Events that are looked at under the lock without a second thought."""


async def look_ahead(append: Append, reader: LogReader) -> Append:
    """The append, with a condition that begins as late as possible and means the same."""
    condition = append.condition
    if condition is None or all(wanted.tags for wanted in condition.filters):
        return append
    head = await reader.head()
    if head <= condition.after + _FAR:
        return append
    found = await reader.first_matching(condition.after, head, condition.filters)
    # The one found is forbidden for ever, so the condition may begin with it.
    after = found - 1 if found else head
    return msgspec.structs.replace(append, condition=AppendCondition(condition.filters, after))
