"""Append conditions: "only if nothing I did not see has happened", over types and tags.

The idea is the dynamic consistency boundary (dcb.events): a decision names the events it depends
on, and the append fails when one of them was added meanwhile.
"""

from __future__ import annotations

import msgspec

__all__ = ["AppendCondition", "EventFilter"]


class EventFilter(msgspec.Struct, frozen=True):
    """Which events: any of `types` (empty: all types) that carry all of `tags` (empty: any).

    Types are stable names; a tag is `field:value`, as an event's `tags=` option makes it.
    """

    types: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def matches(self, event_type: str, tags: tuple[str, ...]) -> bool:
        """Whether an event of this type with these tags is meant."""
        return (not self.types or event_type in self.types) and all(t in tags for t in self.tags)


class AppendCondition(msgspec.Struct, frozen=True):
    """The append fails if any event after position `after` matches any of `filters`.

    `after=0` looks at the whole log: "no such event, ever" (uniqueness).
    """

    filters: tuple[EventFilter, ...]
    after: int = 0
