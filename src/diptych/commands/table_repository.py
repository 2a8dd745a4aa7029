"""A write model's state in tables, and how its rows and its stream stay one thing.

A row carries the version of its stream. Where the row is behind (somebody appended without knowing
of the table), the newer events are folded onto it. Where the row has no stream (it was written
before events were kept), its stream begins with the events that tell how it came to be: genesis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from diptych.commands.decider import Decider
from diptych.commands.envelope import CommandEnvelope
from diptych.commands.recording import Recorder
from diptych.commands.repository import EventSourcedRepository, Held
from diptych.commands.tables import Tables, TableTransaction
from diptych.errors import ConfigurationError, StoreError
from diptych.events.log import Append, EventLog, StreamAppend
from diptych.messages.registry import Registry

__all__ = ["GENESIS", "TableHeld", "TableRepository"]

_PAGE = 1_000

GENESIS = "genesis"
"""The cause of events that tell what was there before events were kept."""


class TableHeld(NamedTuple):
    """A state from tables.

    `version` is what callers see; `row` is the version in the table (None: no row). `expected` is
    where the stream stands in the log before `prelude` is appended to it; None: events are not kept
    for it. `missed` are the events that the row has not seen.
    """

    state: Any
    version: int
    row: int | None
    expected: int | None
    prelude: tuple[Any, ...] = ()
    missed: tuple[Any, ...] = ()


class TableRepository(EventSourcedRepository):
    """State is what the tables say, brought up to what the log says.

    Without `keep_events` no stream is begun. One that has begun goes on, whatever this process was
    told: a hole in a stream could never be filled.
    """

    def __init__(
        self,
        kind: Any,
        decider: Decider[Any],
        log: EventLog,
        registry: Registry,
        tables: Tables,
        *,
        keep_events: bool,
    ) -> None:
        super().__init__(decider, log, registry)
        self.kind = kind
        self.keep_events = keep_events
        self._tables = tables

    async def load(self, stream: str) -> Held:
        """Not possible: a table is asked by key. See `look_up`."""
        raise ConfigurationError(f"{stream} is kept in a table, which is asked by its key.")

    async def load_at(self, stream: str, version: int) -> Held:
        """The state just after `version`, from the events that were kept."""
        if not self.keep_events:
            raise ConfigurationError(
                f"no older version of {stream} can be shown: events are not kept "
                "(keep_events=False)."
            )
        return await super().load_at(stream, version)

    async def look_up(self, key: object) -> TableHeld:
        """The present state, in a transaction of its own that writes nothing."""
        async with self._tables.begin() as transaction:
            return await self.load_in(transaction, key)

    async def load_in(
        self, transaction: TableTransaction, key: object, *, trust_row: bool = False
    ) -> TableHeld:
        """The present state, for a decision in this transaction.

        `trust_row` saves the look into the log: the append notices a row that is not what the log
        says, but a decision that appends nothing does not.
        """
        found = await transaction.load(self.kind, key)
        state, version = found or (self.decider.initial(), 0)
        row = None if found is None else version
        if trust_row and row != 0:
            return TableHeld(state, version, row, version)
        stream = self.decider.stream(key)
        if version and not await self._log.read_stream(stream, version - 1, 1):
            await self._check_not_begun(stream, version)
            return await self._beginning(transaction, key, TableHeld(state, version, row, None))
        missed = await self._events_after(stream, version)
        if row == 0 and missed:
            raise StoreError(
                f"the row of {stream} has version 0, and its stream has events: nobody can tell "
                "which of them the row has seen. Nothing was written. Set the row's version to "
                "that of the last event it has seen, or delete the row to have it made from events."
            )
        if version == 0 and not missed:
            return await self._beginning(transaction, key, TableHeld(state, 0, row, None))
        for event in missed:
            state = self.decider.evolved(state, event)
        version += len(missed)
        return TableHeld(state, version, row, version, missed=tuple(missed))

    async def save_in(
        self,
        transaction: TableTransaction,
        key: object,
        held: TableHeld,
        events: Sequence[Any],
        after: Held,
    ) -> None:
        """Write to the tables what `events` made of what was loaded.

        A mapping may go by the events instead of the state, so it is given all that the row has not
        seen. The events themselves are appended by whoever decided. Raises VersionConflict.
        """
        unseen = (*held.missed, *events)
        versions = held.row, after.version
        await transaction.save(self.kind, key, after.state, unseen, versions)

    def prelude(
        self, stream: str, held: TableHeld, recorder: Recorder, recorded_us: int
    ) -> Append | None:
        """What is appended before anything else: how the row came to be; None: nothing."""
        if not held.prelude:
            return None
        cause = CommandEnvelope(None, causation_id=GENESIS)
        stored = recorder.record(held.prelude, cause)
        return Append((StreamAppend(stream, 0, stored),), recorded_us=recorded_us)

    async def _beginning(
        self, transaction: TableTransaction, key: object, held: TableHeld
    ) -> TableHeld:
        """What was loaded, for a stream that has no events yet."""
        if not self.keep_events:
            return held
        if held.row is None:
            return held._replace(expected=0)
        prelude = await transaction.genesis(self.kind, key)
        state = self.decider.initial()
        for event in prelude:
            state = self.decider.evolved(state, event)
        if prelude and state != held.state:
            raise ConfigurationError(
                f"the genesis of {self.decider.stream(key)} does not tell what its row says: the "
                f"events {prelude!r} lead to {state!r}, the table holds {held.state!r}. Nothing "
                "was written. Mend the genesis, or what the events evolve."
            )
        return held._replace(version=len(prelude), expected=0, prelude=prelude)

    async def _events_after(self, stream: str, version: int) -> list[Any]:
        decode = self._registry.decode
        found: list[Any] = []
        while page := await self._log.read_stream(stream, version + len(found), _PAGE):
            found += [decode(one.type, one.schema, one.data) for one in page]
            if len(page) < _PAGE:
                break
        return found

    async def _check_not_begun(self, stream: str, version: int) -> None:
        if await self._log.read_stream(stream, 0, 1):
            raise StoreError(
                f"the row of {stream} stands at version {version}, beyond the end of its stream: "
                "it was written without its events, or the log was restored to an older state. "
                "Nothing was written. Restore both to the same moment, or set the row right."
            )
