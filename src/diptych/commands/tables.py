"""The port of write models kept in tables, with its numbered guarantees."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from diptych.events.log import Append, Appended, EventLog

__all__ = ["TableTransaction", "Tables"]


class TableTransaction(Protocol):
    """One transaction over the tables and the log. `kind` is an aggregate class or decider."""

    @property
    def handle(self) -> Any:
        """What function handlers may want: the unit of work of the ORM."""

    @property
    def used(self) -> bool:
        """Whether anything was read or written in it, or waits to be written."""

    async def load(self, kind: Any, key: object) -> tuple[Any, int] | None:
        """The state in the tables and its version, locked until the end; None: there is no row."""

    async def save(
        self,
        kind: Any,
        key: object,
        state: Any,
        events: Sequence[Any],
        versions: tuple[int | None, int],
    ) -> None:
        """Write a state of the second version over the one of the first (None: a new row).

        `events` are all that the row has not seen. Raises VersionConflict.
        """

    async def genesis(self, kind: Any, key: object) -> tuple[Any, ...]:
        """Events that tell how the row came to be what it is; none where nobody said so."""

    async def append(self, append: Append) -> Appended:
        """Append to the log in this transaction, after everything that waits to be written.

        Raises what EventLog.append_within raises. Only appends may follow.
        """


class Tables(Protocol):
    """The tables of an application's write models, in the database of its event log.

    G1 What is saved and what is appended in a transaction commits together or not at all.
    G2 A transaction that was left without an error is durable.
    G3 A save over another version than the row has fails with VersionConflict, and so does a new
       row that somebody else made first; whoever writes at the same time, nothing is lost.
    G4 Nothing is written after an append: what waits to be written goes first, what comes later
       fails with ConfigurationError.
    G5 A transaction that the database ends because of another one fails with ConflictError, and
       has left nothing.
    G6 `keys` gives every row that was there before the first call, in ascending order of keys.

    Errors: StoreUnavailable (nothing was written); OutcomeUnknown when a commit was sent and no
    answer came; what a table's own code raises.
    """

    @property
    def kinds(self) -> Collection[Any]:
        """The aggregates and deciders that are kept in tables."""

    @property
    def handle_type(self) -> type:
        """The class of `TableTransaction.handle`."""

    def guard(self, log: EventLog) -> None:
        """Append to this log from now on, in every transaction, also where nothing is recorded.

        It refuses what was decided in ignorance; see GuardedLog.
        """

    async def open(self) -> None:
        """Make ready to connect. Calling again does nothing."""

    def begin(self) -> AbstractAsyncContextManager[TableTransaction]:
        """A transaction: committed when it is left, rolled back when it is left by an error."""

    async def keys(self, kind: Any, after: object | None, limit: int) -> list[Any]:
        """Keys of rows, ascending, from the one after `after`."""

    async def close(self) -> None:
        """Let go of everything. Calling again does nothing."""
