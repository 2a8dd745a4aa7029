"""What waits for the writer: an append, and who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from diptych.events.log import Append, Appended, Participant, StreamAppend

__all__ = ["AppendJob"]


class AppendJob:
    """An append, with the participants of the log it came from.

    `recorded_us` is when, if the caller says so (0: the writer does). `size` is the number of bytes
    in its events. `single` is its stream and event, where it is one event without tags and nothing
    else: most are, and batches of these take a short road.
    """

    __slots__ = ("append", "future", "participants", "recorded_us", "single", "size")

    future: asyncio.Future[Appended]

    def __init__(self, append: Append, participants: Sequence[Participant] = ()) -> None:
        self.append = append
        self.participants = participants
        self.recorded_us = append.recorded_us
        self.single: StreamAppend | None = None
        if self.plain:
            stream = append.streams[0]
            if len(stream.events) == 1 and not stream.events[0].tags:
                event = stream.events[0]
                self.single, self.size = stream, len(event.data) + len(event.meta)
                return
        self.size = 0
        for stream in append.streams:
            for event in stream.events:
                self.size += len(event.data) + len(event.meta)

    @property
    def command_id(self) -> str | None:
        """The id that the caller gave, if any."""
        command = self.append.command
        return command.command_id if command is not None else None

    @property
    def plain(self) -> bool:
        """Whether it is nothing but events for one stream."""
        append = self.append
        return (
            len(append.streams) == 1
            and append.condition is None
            and append.command is None
            and not append.snapshots
        )
