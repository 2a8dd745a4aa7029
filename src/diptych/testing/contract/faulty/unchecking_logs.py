"""Event logs that do not check what they should, or not at the right time."""

from __future__ import annotations

import asyncio

from diptych.errors import AppendConditionFailed, VersionConflict
from diptych.events.condition import AppendCondition, EventFilter
from diptych.events.log import (
    ANY_VERSION,
    Append,
    Appended,
    CommandRecord,
    EventLog,
    StreamAppend,
)
from diptych.testing.contract.faulty.shared import SharedLog, changed

__all__ = [
    "CheckThenActLog",
    "ConditionBlindLog",
    "FirstFilterLog",
    "ForgetfulCommandsLog",
    "SharedFateLog",
    "TagBlindLog",
    "VersionBlindLog",
]


class VersionBlindLog(SharedLog):
    """Never looks at the expected version."""

    breaks = ("G5",)

    async def append(self, append: Append) -> Appended:
        """Expect anything."""
        return await self.inner.append(_at_any_version(append))


class CheckThenActLog(SharedLog):
    """Checks everything, and writes when what it checked may no longer be true."""

    breaks = ("G5", "G6", "G7")

    def __init__(self, inner: EventLog, records: dict[str, CommandRecord] | None = None) -> None:
        super().__init__(inner)
        self._records = {} if records is None else records

    def again(self) -> EventLog:
        """Another one that does not lock."""
        return type(self)(self.inner, self._records)

    async def command(self, command_id: str) -> CommandRecord | None:
        """Answer what was recorded."""
        return self._records.get(command_id)

    async def append(self, append: Append) -> Appended:
        """Look, wait, write."""
        known = append.command and self._records.get(append.command.command_id)
        if known:
            return Appended(known.first, known.events, known)
        await self._look(append)
        await asyncio.sleep(0)
        blind = changed(_at_any_version(append), condition=None, command=None)
        done = await self.inner.append(blind)
        if append.command is not None:
            record = append.command._replace(first=done.first, events=done.events)
            self._records[record.command_id] = record
        return done

    async def _look(self, append: Append) -> None:
        for name, expected, _ in append.streams:
            actual = len(await self.inner.read_stream(name))
            if expected not in (ANY_VERSION, actual):
                facts = {"stream": name, "expected": expected, "actual": actual}
                raise VersionConflict("too late", **facts)
        if append.condition is not None:
            condition = append.condition
            events = await self.inner.read(condition.after, 1, condition.filters)
            if events:
                raise AppendConditionFailed("too late", position=events[0].position)


class ConditionBlindLog(SharedLog):
    """Never looks at append conditions."""

    breaks = ("G6",)

    async def append(self, append: Append) -> Appended:
        """Drop the condition."""
        return await self.inner.append(changed(append, condition=None))


class TagBlindLog(SharedLog):
    """Looks at the types of a condition and not at its tags: fails too often."""

    breaks = ("G6",)

    async def append(self, append: Append) -> Appended:
        """Forget tags."""
        if append.condition is None:
            return await self.inner.append(append)
        filters = tuple(EventFilter(one.types) for one in append.condition.filters)
        condition = AppendCondition(filters, append.condition.after)
        return await self.inner.append(changed(append, condition=condition))


class FirstFilterLog(SharedLog):
    """Looks at the first filter of a condition only."""

    breaks = ("G6",)

    async def append(self, append: Append) -> Appended:
        """Drop the other filters."""
        if append.condition is None:
            return await self.inner.append(append)
        condition = AppendCondition(append.condition.filters[:1], append.condition.after)
        return await self.inner.append(changed(append, condition=condition))


class ForgetfulCommandsLog(SharedLog):
    """Does not remember commands."""

    breaks = ("G7",)

    async def append(self, append: Append) -> Appended:
        """Drop the record."""
        return await self.inner.append(changed(append, command=None))


class SharedFateLog(SharedLog):
    """Commits appends in groups; when one of them fails, so do those that come after it."""

    breaks = ("G8",)

    def __init__(self, inner: EventLog) -> None:
        super().__init__(inner)
        self._group: list[tuple[Append, asyncio.Future[Appended]]] = []

    async def append(self, append: Append) -> Appended:
        """Wait for a group, and let its first member commit it."""
        future: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        self._group.append((append, future))
        if len(self._group) == 1:
            asyncio.get_running_loop().call_soon(asyncio.ensure_future, self._commit())
        return await future

    async def _commit(self) -> None:
        group, self._group = self._group, []
        done: Appended | Exception = Appended(0, 0)
        for append, future in group:
            if not isinstance(done, Exception):
                done = await self._attempt(append)
            if future.cancelled():
                continue
            if isinstance(done, Exception):
                future.set_exception(done)
            else:
                future.set_result(done)

    async def _attempt(self, append: Append) -> Appended | Exception:
        try:
            return await self.inner.append(append)
        except Exception as error:  # noqa: BLE001  whatever it is, it is passed on
            return error


def _at_any_version(append: Append) -> Append:
    streams = (StreamAppend(name, ANY_VERSION, events) for name, _, events in append.streams)
    return changed(append, streams=tuple(streams))
