"""The log and the read store of a world, as one of its processes reaches them.

Everything that has an effect is recorded at the moment of its effect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from diptych.errors import LeaseLost, StoreError
from diptych.events.condition import EventFilter
from diptych.events.delegating import DelegatingLog
from diptych.events.log import (
    Append,
    Appended,
    CommandRecord,
    Participant,
    Snapshot,
    StoredEvent,
)
from diptych.queries.parked import Parked
from diptych.queries.read_store import (
    Change,
    CheckpointInfo,
    Filter,
    Find,
    Generation,
    InlineRows,
    LeaseSwap,
    Loaded,
    Role,
    Row,
    TableSpec,
)
from diptych.testing.contract.faulty.shared import SharedStore
from diptych.testing.simulation import history
from diptych.testing.simulation.line import Line
from diptych.testing.simulation.marks import ASK, ATTEMPT

__all__ = ["SimulatedLog", "SimulatedStore"]

_encode = msgspec.json.Encoder().encode


class SimulatedLog(DelegatingLog):
    """The world's log at the end of a line. What joins it commits with appends from here only."""

    def __init__(self, line: Line) -> None:
        super().__init__(line.world.log)
        self.participants: list[Participant] = []
        self._line = line
        self._call = line.call
        self._world = line.world
        self._name = line.process.full_name

    @property
    def volatile(self) -> bool:
        """False: the world outlives its processes."""
        return False

    async def open(self) -> None:
        """See EventLog."""
        await self._call("open", self.inner.open)

    async def close(self) -> None:
        """The log stays open for the other processes."""

    def join(self, participant: Participant) -> None:
        """See EventLog."""
        self.participants.append(participant)

    async def append(self, append: Append) -> Appended:
        """See EventLog."""
        attempt = ATTEMPT.get()

        async def effect() -> Appended:
            self._world.appending.begin(self._name, attempt, append, self.participants)
            return await self.inner.append(append)

        return await self._call("append", effect, writes=True)

    async def read(
        self, after: int, limit: int, filters: tuple[EventFilter, ...] = ()
    ) -> list[StoredEvent]:
        """See EventLog."""
        found = await self._call("read", lambda: self.inner.read(after, limit, filters))
        if found and not filters:
            self._world.add(history.Fetched(self._name, after, found[-1].position))
        return found

    async def read_stream(
        self, stream: str, after: int = 0, limit: int | None = None
    ) -> list[StoredEvent]:
        """See EventLog."""
        return await self._call("read_stream", lambda: self.inner.read_stream(stream, after, limit))

    async def head(self) -> int:
        """See EventLog."""
        return await self._call("head", self.inner.head)

    async def wait(self, after: int) -> int:
        """See EventLog."""
        head = await self.inner.wait(after)
        await self._line.process.goes_on()
        return head

    async def snapshot(self, stream: str) -> Snapshot | None:
        """See EventLog."""
        return await self._call("snapshot", lambda: self.inner.snapshot(stream))

    async def command(self, command_id: str) -> CommandRecord | None:
        """See EventLog."""
        return await self._call("command", lambda: self.inner.command(command_id))


class SimulatedStore(SharedStore):
    """The world's read store at the end of a line.

    What another process has dropped is gone here, too, though this one has opened it: as in an SQL
    database, it stands nowhere then, and what wants its rows fails.
    """

    def __init__(self, line: Line) -> None:
        super().__init__(line.world.store)
        self._known: set[str] = set()
        self._call = line.call
        self._world = line.world
        self._name = line.process.full_name

    async def open(self, tables: Sequence[TableSpec]) -> None:
        """See ReadStore."""

        async def effect() -> None:
            new = [one.name for one in tables if one.name not in await self._all(one.name)]
            await self.inner.open(tables)
            for name in new:
                await self._roles_are({name: (await self.inner.checkpoint(name)).role})

        await self._call("open", effect, writes=True)
        self._known.update(one.name for one in tables)

    async def load(self, projection: str, keys: Sequence[str]) -> Loaded:
        """See ReadStore."""
        ask = ASK.get()

        async def effect() -> Loaded:
            await self._must_be_there(projection)
            loaded = await self.inner.load(projection, keys)
            if ask:
                at = loaded.checkpoint
                self._world.add(history.Looked(self._name, ask, projection, at, tuple(keys)))
            return loaded

        return await self._call("load", effect)

    async def find(self, projection: str, find: Find) -> list[Row]:
        """See ReadStore."""
        ask = ASK.get()

        async def effect() -> list[Row]:
            await self._must_be_there(projection)
            found = await self.inner.find(projection, find)
            if ask:
                at = (await self.inner.checkpoint(projection)).position
                self._world.add(history.Looked(self._name, ask, projection, at))
            return found

        return await self._call("find", effect)

    async def count(self, projection: str, filters: tuple[Filter, ...] = ()) -> int:
        """See ReadStore."""
        return await self._call("count", lambda: self.inner.count(projection, filters))

    async def apply(self, changes: Sequence[Change]) -> None:
        """See ReadStore."""

        async def effect() -> None:
            for one in changes:
                if one.epoch is not None and not await self._is_there(one.projection):
                    raise LeaseLost(f"{one.projection} was dropped.", projection=one.projection)
                await self._must_be_there(one.projection)
            holders = [await self.inner.checkpoint(one.projection) for one in changes]
            await self.inner.apply(changes)
            for change, holder in zip(changes, holders, strict=True):
                moves = change.epoch is None and change.after < change.upto
                inline = moves and change.projection in self._world.inline
                self._world.add(_written(self._name, change, holder.lease.epoch, inline=inline))

        await self._call("apply", effect, writes=True)

    def within(self, handle: Any) -> InlineRows:
        """See Capability.INLINE."""
        return _InlineRows(super().within(handle), self._world.appending.written, self._name)

    async def checkpoint(self, projection: str) -> CheckpointInfo:
        """See ReadStore."""
        return (await self.checkpoints([projection]))[projection]

    async def checkpoints(self, projections: Sequence[str]) -> dict[str, CheckpointInfo]:
        """See Standings."""

        async def effect() -> dict[str, CheckpointInfo]:
            return {
                name: await self.inner.checkpoint(name)
                if await self._is_there(name)
                else CheckpointInfo(0, "")
                for name in projections
            }

        return await self._call("checkpoints", effect)

    async def swap_leases(self, swaps: Sequence[LeaseSwap]) -> list[bool]:
        """See Standings."""

        async def effect() -> list[bool]:
            there = [one for one in swaps if await self._is_there(one.projection)]
            swapped = iter(await self.inner.swap_leases(there))
            done = [one in there and next(swapped) for one in swaps]
            for one, was_done in zip(swaps, done, strict=True):
                before, after = one.before.epoch, one.after.epoch
                self._world.add(
                    history.Leased(
                        self._name, one.projection, before, after, one.after.terms, was_done
                    )
                )
            return done

        return await self._call("swap_leases", effect, writes=True)

    async def parked(
        self, projection: str, keys: Sequence[str] | None = None, limit: int | None = None
    ) -> list[Parked]:
        """See Standings."""

        async def effect() -> list[Parked]:
            there = await self._is_there(projection)
            return await self.inner.parked(projection, keys, limit) if there else []

        return await self._call("parked", effect)

    async def generations(self, projection: str) -> list[Generation]:
        """See Standings."""
        return await self._call("generations", lambda: self.inner.generations(projection))

    async def switch(
        self,
        before: Mapping[str, Role],
        after: Mapping[str, Role],
        epochs: Mapping[str, int] | None = None,
    ) -> bool:
        """See Standings."""

        async def effect() -> bool:
            done = await self.inner.switch(before, after, epochs)
            if done:
                await self._roles_are(after)
            return done

        return await self._call("switch", effect, writes=True)

    async def drop(self, table: TableSpec, epoch: int | None = None) -> None:
        """See Standings."""

        async def effect() -> None:
            if not await self._is_there(table.name):
                return
            role = (await self.inner.checkpoint(table.name)).role
            await self.inner.drop(table, epoch)
            self._world.add(history.Dropped(self._name, table.name, role))

        await self._call("drop", effect, writes=True)

    async def reset(self, table: TableSpec, epoch: int | None = None) -> None:
        """See ReadStore."""

        async def effect() -> None:
            await self._must_be_there(table.name)
            await self.inner.reset(table, epoch)
            self._world.add(history.Reset(self._name, table.name))

        await self._call("reset", effect, writes=True)

    async def _is_there(self, projection: str) -> bool:
        return projection not in self._known or projection in await self._all(projection)

    async def _all(self, projection: str) -> set[str]:
        first = projection.partition("__")[0]
        return {one.name for one in await self.inner.generations(first)}

    async def _must_be_there(self, projection: str) -> None:
        if not await self._is_there(projection):
            raise StoreError(f"no such table: {projection}. Nothing was written.")

    async def _roles_are(self, after: Mapping[str, Role]) -> None:
        first = next(iter(after)).partition("__")[0]
        found = await self.inner.generations(first)
        roles: dict[str, str] = {one.name: one.role for one in found}
        stands = {one.name: one.position for one in found}
        self._world.add(history.Switched(self._name, {**after}, roles, stands))


class _InlineRows:
    """The store within the transaction of an append, which may still fail."""

    def __init__(self, inner: InlineRows, written: list[history.Written], process: str) -> None:
        self._inner = inner
        self._written = written
        self._process = process

    async def checkpoint(self, projection: str) -> CheckpointInfo:
        return await self._inner.checkpoint(projection)

    async def load(self, projection: str, keys: Sequence[str]) -> Loaded:
        return await self._inner.load(projection, keys)

    async def parked(self, projection: str) -> list[Parked]:
        return await self._inner.parked(projection)

    async def apply(self, changes: Sequence[Change]) -> None:
        await self._inner.apply(changes)
        self._written += [_written(self._process, one, 0, inline=True) for one in changes]


def _written(process: str, change: Change, holder: int, *, inline: bool) -> history.Written:
    rows: dict[str, str | None] = {row.key: _encode(row.value).decode() for row in change.rows}
    rows.update(dict.fromkeys(change.deleted))
    return history.Written(
        process,
        change.projection,
        change.after,
        change.upto,
        rows,
        change.epoch,
        holder,
        tuple(change.parked),
        tuple(change.unparked),
        inline,
    )
