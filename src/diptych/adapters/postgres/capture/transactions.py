"""From messages to changes: rows with names and Python values, in the order of commits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from diptych.adapters.postgres.capture.pgoutput import (
    Begin,
    Commit,
    Delete,
    Insert,
    Message,
    Relation,
    Skipped,
    Truncate,
    Tuple,
    Unchanged,
    Update,
)
from diptych.adapters.postgres.capture.tables import CapturedTable
from diptych.adapters.postgres.capture.values import value_of
from diptych.errors import StoreError
from diptych.events.capture import Operation, RowChange, RowValues

__all__ = ["Ended", "Placed", "Transactions", "lsn_text"]

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class Placed(NamedTuple):
    """A change and its place: the commit's place in the write-ahead log, and its number there."""

    lsn: int
    number: int
    change: RowChange


class Ended(NamedTuple):
    """The end of a transaction; the slot may advance to `end_lsn` when all of it is durable."""

    end_lsn: int


class Transactions:
    """Follows the messages of one look.

    `tables` is known by the id of the relation, so a renamed table is still the same one. Changes
    are numbered whether or not a mapping wants them: a number means the same in every look.
    """

    def __init__(self, tables: dict[int, CapturedTable]) -> None:
        self._tables = tables
        self._relations: dict[int, Relation] = {}
        self._begin: Begin | None = None
        self._number = 0

    def follow(self, message: Message) -> list[Placed | Ended]:
        """What a message adds. Raises StoreError for messages in an impossible order."""
        if isinstance(message, Begin):
            self._begin, self._number = message, 0
        elif isinstance(message, Commit):
            self._begin = None
            return [Ended(message.end_lsn)]
        elif isinstance(message, Relation):
            self._relations[message.id] = message
        elif isinstance(message, Truncate):
            return [self._placed(one, "truncate") for one in message.relations]
        elif not isinstance(message, Skipped):
            return [self._change(message)]
        return []

    @property
    def began(self) -> Begin:
        """The transaction that the present message belongs to."""
        if self._begin is None:
            raise StoreError(
                "the server sent a change outside a transaction; nothing was skipped. Please "
                "report this with the server's version."
            )
        return self._begin

    def _change(self, message: Insert | Update | Delete) -> Placed:
        relation = self._relations.get(message.relation)
        if relation is None:
            raise StoreError(
                f"the server sent a change of relation {message.relation} without describing it; "
                "nothing was skipped. Please report this with the server's version."
            )
        if isinstance(message, Insert):
            return self._placed(relation.id, "insert", new=_row(relation, message.new))
        old = None
        if message.old is not None:
            old = _row(relation, message.old, whole=message.whole)
        if isinstance(message, Delete):
            return self._placed(relation.id, "delete", old=old)
        new = _row(relation, message.new, before=message.old if message.whole else None)
        return self._placed(relation.id, "update", old=old, new=new)

    def _placed(
        self,
        relation_id: int,
        operation: Operation,
        old: RowValues | None = None,
        new: RowValues | None = None,
    ) -> Placed:
        begin, number = self.began, self._number
        self._number += 1
        row = new if new is not None else old
        table = self._tables.get(relation_id)
        change = RowChange(
            table.name if table else "",
            operation,
            old,
            new,
            table.key_of(row) if table and row is not None else {},
            begin.transaction,
            lsn_text(begin.lsn),
            _EPOCH + timedelta(microseconds=begin.committed_us),
            number,
        )
        return Placed(begin.lsn, number, change)


def _row(
    relation: Relation, values: Tuple, before: Tuple | None = None, *, whole: bool = True
) -> RowValues:
    """The named values; large ones that were not sent come from the row `before`, where known."""
    found = {}
    unchanged = []
    for number, (column, value) in enumerate(zip(relation.columns, values, strict=True)):
        if not (whole or column.in_key):
            continue
        if isinstance(value, Unchanged) and before is not None:
            value = before[number]  # noqa: PLW2901  the same value, from where it was sent
        if isinstance(value, Unchanged):
            unchanged.append(column.name)
        else:
            found[column.name] = None if value is None else value_of(column.type, value)
    return RowValues(found, frozenset(unchanged))


def lsn_text(lsn: int) -> str:
    """A place in the write-ahead log as PostgreSQL writes it: 0/16B3748."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"
