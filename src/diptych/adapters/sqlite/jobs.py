"""What waits for the writer: appends, and other work that wants to write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import apsw

from diptych.events.log import Append, Participant

__all__ = ["AppendJob", "Job", "WorkJob"]


class Job:
    """One member of a group that commits together.

    `size` is how many rows it will write, roughly; `future` is set while somebody waits for it.
    """

    __slots__ = ("future", "size")

    future: asyncio.Future[Any]

    def __init__(self, size: int) -> None:
        self.size = size


class AppendJob(Job):
    """An append, with the participants of the log it came from and the time to record."""

    __slots__ = ("append", "participants", "recorded_us")

    def __init__(
        self,
        append: Append,
        participants: Sequence[Participant],
        recorded_us: int,
    ) -> None:
        self.append = append
        self.participants = participants
        self.recorded_us = recorded_us
        streams = append.streams
        self.size = (
            len(streams[0].events) if len(streams) == 1 else sum(len(s.events) for s in streams)
        )


class WorkJob(Job):
    """Something else that writes.

    `check` may refuse by raising a DiptychError, and has not written anything then; `write` must
    succeed, or its whole group is rolled back and its members are tried again in smaller groups.
    """

    __slots__ = ("check", "write")

    def __init__(
        self,
        write: Callable[[apsw.Connection], Any],
        check: Callable[[apsw.Connection], None] | None = None,
        size: int = 1 << 30,
    ) -> None:
        super().__init__(size)
        self.write = write
        self.check = check
