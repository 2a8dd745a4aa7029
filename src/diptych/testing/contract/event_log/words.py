"""Words in which the tests of an event log are written."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from diptych.events.log import (
    ANY_VERSION,
    Append,
    CommandRecord,
    EventLog,
    EventToStore,
    LogTransaction,
    Snapshot,
    StoredEvent,
    StreamAppend,
)

__all__ = [
    "EVERYTHING",
    "Veto",
    "Vetoed",
    "add",
    "assert_dense",
    "command",
    "everything",
    "fact",
    "numbered",
    "numbers",
    "snapshot",
    "state_of",
    "to",
]

EVERYTHING = 1_000_000
"""A limit that no test reaches."""


def fact(
    number: Any = 0, type_: str = "Counted", tags: Iterable[str] = (), schema: int = 1
) -> EventToStore:
    """An event that carries `number`."""
    data = json.dumps({"number": number}, ensure_ascii=False).encode()
    return EventToStore(type_, schema, data, b'{"from":"the suite"}', tuple(tags))


def numbered(count: int, start: int = 0) -> tuple[EventToStore, ...]:
    """Events that carry consecutive numbers."""
    return tuple(fact(start + number) for number in range(count))


def to(stream: str, *events: EventToStore, expected: int = ANY_VERSION) -> StreamAppend:
    """Events for one stream, wherever it stands unless told."""
    return StreamAppend(stream, expected, events)


def add(stream: str, *events: EventToStore, expected: int = ANY_VERSION, **more: Any) -> Append:
    """An append to one stream; one event unless told."""
    return Append(streams=(to(stream, *(events or (fact(),)), expected=expected),), **more)


def command(command_id: str, answer: bytes = b'{"ok":true}') -> CommandRecord:
    """A record as the command side makes it."""
    return CommandRecord(command_id, b"digest \x00\xff", answer)


def snapshot(
    stream: str, version: int, state: bytes = b'{"sum":1}', schema: int = (1 << 32) + 7
) -> Snapshot:
    """A snapshot as the command side makes it: its schema is a number of 64 bits."""
    return Snapshot(stream, version, schema, state)


def numbers(events: Iterable[StoredEvent]) -> list[Any]:
    """What the events carry."""
    return [json.loads(event.data)["number"] for event in events]


async def everything(log: EventLog) -> list[StoredEvent]:
    """All events of a log."""
    return await log.read(0, EVERYTHING)


def assert_dense(events: list[StoredEvent], after: int = 0) -> None:
    """Positions ascend without a gap from `after`, and so do versions in each stream."""
    positions = [event.position for event in events]
    wanted = list(range(after + 1, after + 1 + len(events)))
    assert positions == wanted, f"positions are not dense and ascending: {positions[:50]}"
    if after == 0:
        seen: dict[str, int] = {}
        for event in events:
            seen[event.stream] = seen.get(event.stream, 0) + 1
            assert event.version == seen[event.stream], (
                f"{event.stream} has version {event.version} at position {event.position}, "
                f"where version {seen[event.stream]} was due"
            )


async def state_of(
    log: EventLog, streams: Iterable[str] = (), command_ids: Iterable[str] = ()
) -> tuple[Any, ...]:
    """Everything a log shows, to be compared before and after."""
    return (
        await log.head(),
        await everything(log),
        [await log.read_stream(stream) for stream in streams],
        [await log.snapshot(stream) for stream in streams],
        [await log.command(command_id) for command_id in command_ids],
    )


class Vetoed(Exception):
    """What a participant raises on an event that it does not want."""


class Veto:
    """A participant that refuses every append that holds an event of the type Unwanted.

    `heads` and `seen` keep what it was shown, for tests that ask.
    """

    def __init__(self) -> None:
        self.heads: list[int] = []
        self.seen: list[StoredEvent] = []

    async def join(self, transaction: LogTransaction, head: int) -> None:
        """Look at the whole log and refuse what is not wanted."""
        self.heads.append(head)
        self.seen = await transaction.read(0, EVERYTHING)
        if any(event.type == "Unwanted" for event in self.seen):
            raise Vetoed
