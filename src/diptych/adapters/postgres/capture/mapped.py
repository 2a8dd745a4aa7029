"""From changes to what the log takes: mappings called, events encoded, streams in order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from diptych.environment import Environment
from diptych.errors import CaptureFailed, ConfigurationError, DiptychError
from diptych.events.capture import ChangeMapping, RowChange, TransactionChanges, events_of
from diptych.events.log import EventToStore
from diptych.messages.envelope import Metadata
from diptych.messages.registry import Registry, place_of

__all__ = ["Mapped", "Streamed", "joined"]

Streamed = dict[str, list[EventToStore]]
"""Events by stream, in the order of each stream's first event."""

_TURN = 200

_encode = msgspec.json.Encoder().encode


class Mapped:
    """Makes storable events of changes. Each says in its envelope where it came from.

    `actor` is the capture, cause and correlation the transaction: `slot:place of its commit`.
    """

    def __init__(
        self, slot: str, mappings: Mapping[str, ChangeMapping], environment: Environment
    ) -> None:
        self._slot = slot
        self._mappings = mappings
        self._environment = environment
        self._registry = Registry()

    def is_whole(self, table: str) -> bool:
        """Whether the mapping of a table wants whole transactions."""
        found = self._mappings.get(table)
        return found is not None and found.whole

    async def streamed(self, changes: Sequence[RowChange]) -> Streamed:
        """The events of changes of one transaction.

        Mappings of rows come first, in the order of the changes; then those of whole transactions.
        Raises CaptureFailed naming the change that its mapping could not take.
        """
        found: Streamed = {}
        whole: dict[int, tuple[ChangeMapping, list[RowChange]]] = {}
        for number, change in enumerate(changes, start=1):
            if number % _TURN == 0:
                await asyncio.sleep(0)  # mapping is pure Python: let commands through
            mapping = self._mappings.get(change.table)
            if mapping is None:
                continue  # of a table that was captured once
            if mapping.whole:
                whole.setdefault(id(mapping), (mapping, []))[1].append(change)
            else:
                self._add(found, mapping, change, change)
        for mapping, together in whole.values():
            first = together[0]
            gathered = TransactionChanges(
                tuple(together), first.transaction, first.lsn, first.committed_at
            )
            self._add(found, mapping, gathered, first)
        return found

    def _add(
        self,
        found: Streamed,
        mapping: ChangeMapping,
        change: RowChange | TransactionChanges,
        first: RowChange,
    ) -> None:
        try:
            for stream, event in events_of(mapping, change):
                found.setdefault(stream, []).append(self._stored(event, first))
        except Exception as error:
            raise self._failed(mapping, first, error) from error

    def _stored(self, event: Any, change: RowChange) -> EventToStore:
        known = self._registry.add(type(event))
        cause = f"{self._slot}:{change.lsn}"
        meta = Metadata(self._environment.new_id(), cause, cause, f"capture:{self._slot}")
        return EventToStore(
            known.identity.name,
            known.identity.version,
            known.codec.encode(event),
            _encode(meta),
            known.tags_of(event),
        )

    def _failed(self, mapping: ChangeMapping, change: RowChange, error: Exception) -> CaptureFailed:
        said = str(error) if isinstance(error, DiptychError) else repr(error)
        where = f"{change.operation} of {change.table} {change.key or ''}".rstrip()
        what = "" if isinstance(error, ConfigurationError) else f"{place_of(mapping.function)}: "
        return CaptureFailed(
            f"the capture {self._slot} stands before the transaction at {change.lsn}: {where} "
            f"could not become events. {what}{said} Nothing was skipped; mend it and start again.",
            slot=self._slot,
            table=change.table,
            key=dict(change.key),
            lsn=change.lsn,
        )


def joined(batch: Streamed, added: Streamed) -> bool:
    """Add the events of the next transaction to those of earlier ones, if their order stays.

    An append groups events by stream. So a stream may not come again once another followed it.
    """
    names = iter(added)
    first = next(names, None)
    if first is None:
        return True
    last = next(reversed(batch), None)
    if (first in batch and first != last) or any(name in batch for name in names):
        return False
    _extend(batch, added.items())
    return True


def _extend(batch: Streamed, added: Iterable[tuple[str, list[EventToStore]]]) -> None:
    for stream, events in added:
        batch.setdefault(stream, []).extend(events)
