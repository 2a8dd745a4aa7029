"""The port of the event log, with its numbered guarantees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import msgspec

from diptych.events.condition import AppendCondition, EventFilter
from diptych.events.obstacle import Obstacle
from diptych.messages.envelope import StoredEvent

__all__ = [
    "ANY_VERSION",
    "Append",
    "Appended",
    "CommandRecord",
    "EventLog",
    "EventToStore",
    "LogTransaction",
    "Participant",
    "Snapshot",
    "StoredEvent",
    "StreamAppend",
]

ANY_VERSION = -1
"""Expected version of an append that does not care where its stream stands."""


class EventToStore(NamedTuple):
    """One event on its way into the log: `data` and `meta` are JSON bytes."""

    type: str
    schema: int
    data: bytes
    meta: bytes
    tags: tuple[str, ...] = ()


class StreamAppend(NamedTuple):
    """Events for one stream, in order, if the stream stands at `expected` (0: it must be new).

    With no events it only checks the version.
    """

    stream: str
    expected: int
    events: tuple[EventToStore, ...]


class Snapshot(NamedTuple):
    """The state of a stream after `version`, as JSON bytes in shape `schema`."""

    stream: str
    version: int
    schema: int
    state: bytes


class CommandRecord(NamedTuple):
    """The first answer to a command whose caller gave it an id.

    `digest` identifies the command's content; `answer` is JSON bytes that the command side reads
    back; `first` and `events` say which positions the command wrote (0, 0: none). The log fills in
    `first` and `events`.
    """

    command_id: str
    digest: bytes
    answer: bytes
    first: int = 0
    events: int = 0


class Append(msgspec.Struct, frozen=True, gc=False):
    """One all-or-nothing addition to the log. No stream may be named twice.

    `recorded_us` is the wall clock of whoever appends; 0: the log's.
    """

    streams: tuple[StreamAppend, ...] = ()
    condition: AppendCondition | None = None
    snapshots: tuple[Snapshot, ...] = ()
    command: CommandRecord | None = None
    recorded_us: int = 0


class Appended(NamedTuple):
    """Where an append went: its first position and the number of its events.

    `repeated` holds the first answer, and nothing was written, when the command id was known.
    """

    first: int
    events: int
    repeated: CommandRecord | None = None

    @property
    def last(self) -> int:
        """Position of the last event appended; 0 when there was none."""
        return self.first + self.events - 1 if self.events else 0


class LogTransaction(Protocol):
    """An append's transaction as a participant sees it."""

    @property
    def handle(self) -> Any:
        """The database's own handle, for a read store in the same database."""

    async def read(self, after: int, limit: int) -> list[StoredEvent]:
        """As EventLog.read, including the events that this transaction appends."""


class Participant(Protocol):
    """Work that commits together with appends: an inline projection.

    The log awaits `join` inside its transaction, after the events of a group of appends have their
    positions and before they are durable; again when it has rolled back, and from any thread. So a
    participant keeps nothing between two calls, and awaits nothing but the transaction and the
    store within it: an embedded database has no event loop there, and runs it without one.
    """

    async def join(self, transaction: LogTransaction, head: int) -> None:
        """Bring read models up to `head`. An error fails the append it came with, and only that."""


class EventLog(Protocol):
    """An append-only log of events in streams.

    G1 An append is all or nothing: its events, its snapshots, its command record and what
       participants write commit together or not at all.
    G2 An append that returned is durable: it survives the death of the process, and of the machine
       as far as the disk keeps its word.
    G3 Positions are dense from 1 in commit order: when a reader sees position n, it sees every
       position below n, now and for ever.
    G4 Versions are dense from 1 in each stream, and positions order a stream as versions do.
    G5 An append whose expected version does not hold fails with VersionConflict and changes
       nothing, whoever else appends at the same time, in this process or another.
    G6 An append whose condition is violated fails with AppendConditionFailed, likewise.
    G7 A command id is recorded once: an append with a known id writes nothing and returns the
       first record.
    G8 One failing append never fails another that happens to be committed with it.
    G9 `wait` returns once the head is past the given position, also when another process appended.
    G10 What was appended is never changed or removed by this port.
    G11 A snapshot is kept for the highest version offered, of one version the last; `snapshot`
        returns exactly what was stored.
    G12 `append_within` shares the fate of the caller's transaction: everything above holds once
       that has committed, and nothing is left when it has rolled back. A log that has no
       transactions to share raises ConfigurationError.

    Not promised: that `recorded_us` ascends; that an append whose caller was cancelled did not
    happen.

    Errors: StoreUnavailable when the store is locked, full or unreachable (nothing was written);
    OutcomeUnknown when a commit was sent and no answer came; SchemaTooNew on opening.
    """

    @property
    def identity(self) -> str:
        """Name of this log, given when it was made; tokens carry it. Known once it was opened."""

    @property
    def volatile(self) -> bool:
        """Whether everything is gone after `close` (memory)."""

    def describe(self) -> dict[str, str]:
        """What it is and what its writes survive, for people: `adapter` first."""

    async def open(self) -> None:
        """Connect, and make the tables where there are none. Calling again does nothing."""

    async def append(self, append: Append) -> Appended:
        """Add to the log. Raises VersionConflict, AppendConditionFailed and the errors above."""

    async def append_within(self, transaction: Any, append: Append) -> Appended:
        """Add to the log in the caller's own transaction of the same database.

        `transaction` is the driver's connection, in a transaction. It must be the last statement
        before the commit: from here on every other append waits. Raises as `append`, and then the
        caller must roll back; ConfigurationError for a connection to something else.
        """

    async def read(
        self, after: int, limit: int, filters: tuple[EventFilter, ...] = ()
    ) -> list[StoredEvent]:
        """Up to `limit` events with position > `after`, ascending; with `filters`, only those that
        match one of them.
        """

    async def read_stream(
        self, stream: str, after: int = 0, limit: int | None = None
    ) -> list[StoredEvent]:
        """Events of one stream with version > `after`, ascending; an unknown stream is empty."""

    async def head(self) -> int:
        """The highest position; 0 for an empty log."""

    async def wait(self, after: int) -> int:
        """Return the head as soon as it is greater than `after`; cancellable."""

    async def snapshot(self, stream: str) -> Snapshot | None:
        """The snapshot of a stream, if there is one."""

    async def command(self, command_id: str) -> CommandRecord | None:
        """The first answer to a command id, if it was recorded."""

    async def held_up_by(self) -> Obstacle | None:
        """What appends have been waiting for, for a second or more; None: nothing that is known.

        For people and metrics. It appends nothing and waits for none of those who do; None where
        the store cannot tell who is in the way.
        """

    def join(self, participant: Participant) -> None:
        """Let a participant commit with every append from now on."""

    def when_in_doubt(self, forget: Callable[[], None]) -> None:
        """Call `forget` when the newest events may be gone, or others in their place: what answers
        now may be a replica that was promoted. Who remembers what was in the log must look again.
        """

    async def close(self) -> None:
        """Finish what was accepted, then let go of everything. Calling again does nothing."""
