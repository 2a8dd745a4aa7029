"""A log that stands in front of another one: derive from it to change what needs changing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diptych.events.condition import EventFilter
from diptych.events.log import (
    Append,
    Appended,
    CommandRecord,
    EventLog,
    Participant,
    Snapshot,
    StoredEvent,
)
from diptych.events.obstacle import Obstacle

__all__ = ["DelegatingLog"]


class DelegatingLog:
    """An EventLog that hands everything on to `inner`."""

    def __init__(self, inner: EventLog) -> None:
        self.inner = inner

    async def append(self, append: Append) -> Appended:
        """See EventLog."""
        return await self.inner.append(append)

    async def append_within(self, transaction: Any, append: Append) -> Appended:
        """See EventLog."""
        return await self.inner.append_within(transaction, append)

    @property
    def identity(self) -> str:
        """See EventLog."""
        return self.inner.identity

    @property
    def volatile(self) -> bool:
        """See EventLog."""
        return self.inner.volatile

    def describe(self) -> dict[str, str]:
        """See EventLog."""
        return self.inner.describe()

    async def open(self) -> None:
        """See EventLog."""
        await self.inner.open()

    async def read(
        self, after: int, limit: int, filters: tuple[EventFilter, ...] = ()
    ) -> list[StoredEvent]:
        """See EventLog."""
        return await self.inner.read(after, limit, filters)

    async def read_stream(
        self, stream: str, after: int = 0, limit: int | None = None
    ) -> list[StoredEvent]:
        """See EventLog."""
        return await self.inner.read_stream(stream, after, limit)

    async def head(self) -> int:
        """See EventLog."""
        return await self.inner.head()

    async def wait(self, after: int) -> int:
        """See EventLog."""
        return await self.inner.wait(after)

    async def snapshot(self, stream: str) -> Snapshot | None:
        """See EventLog."""
        return await self.inner.snapshot(stream)

    async def command(self, command_id: str) -> CommandRecord | None:
        """See EventLog."""
        return await self.inner.command(command_id)

    async def held_up_by(self) -> Obstacle | None:
        """See EventLog."""
        return await self.inner.held_up_by()

    def when_in_doubt(self, forget: Callable[[], None]) -> None:
        """See EventLog."""
        self.inner.when_in_doubt(forget)

    def join(self, participant: Participant) -> None:
        """See EventLog."""
        self.inner.join(participant)

    async def close(self) -> None:
        """See EventLog."""
        await self.inner.close()
