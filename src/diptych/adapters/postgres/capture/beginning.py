"""How a capture begins, goes on after a restart, and begins again."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import asyncpg
import msgspec

from diptych.adapters.postgres.capture.chain import Chain
from diptych.adapters.postgres.capture.connection import connected, lost
from diptych.adapters.postgres.capture.mapped import Mapped
from diptych.adapters.postgres.capture.record import Record, Records
from diptych.adapters.postgres.capture.seen import Seen
from diptych.adapters.postgres.capture.slot import check_server, make_publication, make_slot
from diptych.adapters.postgres.capture.snapshot import RowsAtTheBeginning
from diptych.adapters.postgres.capture.statements import sql
from diptych.adapters.postgres.capture.tables import CapturedTable, find_tables
from diptych.adapters.postgres.statements import quoted
from diptych.adapters.postgres.url import Location
from diptych.environment import Environment
from diptych.errors import ConfigurationError
from diptych.events.capture import ChangeMapping
from diptych.events.log import EventLog

__all__ = ["Attached", "Beginning", "Source"]

_log = logging.getLogger("diptych")


class Source(msgspec.Struct, frozen=True):
    """What is captured, from where, into which log."""

    location: Location
    slot: str
    log: EventLog
    mappings: Mapping[str, ChangeMapping]
    environment: Environment
    with_rows: bool
    allow_unlimited_wal: bool


class Attached(msgspec.Struct, frozen=True):
    """A slot that is ready to be read."""

    tables: dict[int, CapturedTable]
    chain: Chain
    mapped: Mapped
    seen: Seen | None


class Beginning:
    """Makes a slot ready, from wherever an earlier beginning was interrupted.

    Every step can be done again. The caller is the only one: it holds the lock of the slot.
    """

    def __init__(self, connection: asyncpg.Connection, source: Source) -> None:
        self._connection = connection
        self._source = source
        self._records = Records(connection, source.location.schema, source.slot)

    async def attach(self) -> Attached:
        """The slot, ready to be read.

        Raises ConfigurationError for what cannot work, CaptureLost when the slot has gone, and what
        the log and the mappings raise while the rows are told.
        """
        source = self._source
        place = source.location.place
        await check_server(self._connection, place, allow_unlimited_wal=source.allow_unlimited_wal)
        tables = await find_tables(self._connection, dict(source.mappings), place)
        await self._records.make_table()
        record = await self._record()
        new = await make_publication(self._connection, source.slot, tables.values())
        if record.state == "starting":
            record = await self._make_slot(record)
        else:
            await self._check_slot()
            if new:
                _log.warning(
                    "the capture %s tells of %s from now on, not of the rows that are there; "
                    "resnapshot() would tell every row of all its tables",
                    source.slot,
                    ", ".join(new),
                )
        chain = Chain(source.log, source.slot, record.generation)
        mapped = Mapped(source.slot, source.mappings, source.environment)
        if record.state == "snapshot":
            record = await self._tell_rows(record, tables, mapped)
        return Attached(tables, chain, mapped, record.seen)

    async def again(self) -> None:
        """Forget the slot, so that the next `attach` begins anew, with all rows."""
        await self._records.make_table()
        source = self._source
        await self._records.begin(source.environment.new_id(), source.log.identity, with_rows=True)
        await self._connection.fetch(sql("drop_slot"), source.slot)

    async def remove(self) -> None:
        """Forget the capture: its slot, its publication, its record."""
        source = self._source
        await self._connection.fetch(sql("drop_slot"), source.slot)
        await self._connection.execute(f"DROP PUBLICATION IF EXISTS {quoted(source.slot)}")
        await self._records.forget()

    async def _record(self) -> Record:
        source = self._source
        record = await self._records.read()
        slot = await self._connection.fetchrow(sql("select_slot"), source.slot)
        if slot is not None and (
            record is None or not slot["here"] or slot["plugin"] != "pgoutput"
        ):
            raise ConfigurationError(
                f"there is a replication slot {source.slot} already, which is not this capture's. "
                'Choose another name: Capture(..., slot="..."); or, if nobody needs it, run SELECT '
                f"pg_drop_replication_slot('{source.slot}')."
            )
        if record is None:
            generation = source.environment.new_id()
            await self._records.begin(generation, source.log.identity, with_rows=source.with_rows)
            return Record(generation, source.log.identity, "starting", source.with_rows, None)
        if record.log != source.log.identity:
            raise ConfigurationError(
                f"the capture {source.slot} feeds the log {record.log}, not {source.log.identity}: "
                "what it has told that log would be missing here. Give it its own log, choose "
                'another name (slot="..."), or call resnapshot() to begin anew with this log.'
            )
        return record

    async def _make_slot(self, record: Record) -> Record:
        slot = self._source.slot
        await self._connection.fetch(sql("drop_slot"), slot)  # of a beginning that was interrupted
        await make_slot(self._connection, slot)
        state = "snapshot" if record.with_rows else "running"
        await self._records.reached(state)
        return msgspec.structs.replace(record, state=state)

    async def _check_slot(self) -> None:
        slot = await self._connection.fetchrow(sql("select_slot"), self._source.slot)
        if slot is None:
            raise lost(
                self._source.slot,
                "its replication slot is not there (dropped, or the server was restored, or a "
                "replica took over)",
            )
        if slot["wal_status"] == "lost":
            raise lost(self._source.slot, "it was behind by more than max_slot_wal_keep_size")

    async def _tell_rows(
        self, record: Record, tables: dict[int, CapturedTable], mapped: Mapped
    ) -> Record:
        source = self._source
        attempt = f"{record.generation}:rows:{source.environment.new_id()}"
        async with connected(source.location, source.slot) as second:
            rows = RowsAtTheBeginning(second, Chain(source.log, source.slot, attempt), mapped)
            await rows.tell(list(tables.values()), self._records)
        await self._records.reached("running")
        found = await self._records.read()
        assert found is not None  # noqa: S101  it was written above, under our lock
        return found
