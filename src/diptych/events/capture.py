"""Capture: changes that other programs make to tables, and the functions that make events of them.

A mapping is a pure function from a change of a row to events; which table it is for stands in
`@captures`. How the changes come out of a database is an adapter's matter.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal, NoReturn

import msgspec

from diptych.errors import ConfigurationError
from diptych.messages.annotations import members_of, signature_of
from diptych.messages.kinds import identity_of
from diptych.messages.registry import place_of
from diptych.messages.stream_names import stream_named_by

__all__ = [
    "ChangeMapping",
    "Operation",
    "RowChange",
    "RowValues",
    "StreamedEvent",
    "TransactionChanges",
    "captures",
    "events_of",
]

Operation = Literal["insert", "update", "delete", "truncate", "snapshot"]
"""What happened to a row; `snapshot` is a row that was there when the capture began."""

StreamedEvent = tuple[str, Any]
"""An event and, before it, the stream it belongs to."""


class RowValues(dict[str, Any]):
    """The columns of a row by name.

    A large value that is stored apart (TOAST) is not sent when an update leaves it alone. Its
    column is in `unchanged` then, and asking for it raises KeyError: guessing would be worse.
    """

    def __init__(self, values: Mapping[str, Any], unchanged: frozenset[str] = frozenset()) -> None:
        super().__init__(values)
        self.unchanged = unchanged

    def __missing__(self, column: str) -> NoReturn:
        if column in self.unchanged:
            raise KeyError(
                f"the large value of {column!r} did not change and was not sent: look at "
                "`unchanged` first, or ALTER TABLE ... REPLICA IDENTITY FULL"
            )
        raise KeyError(f"there is no column {column!r}; the row has {', '.join(self) or 'none'}")

    def get(self, column: str, default: Any = None) -> Any:
        """The value of a column, or `default` where the row has none. Raises as `row[column]`."""
        return self[column] if column in self or column in self.unchanged else default


class RowChange(msgspec.Struct, frozen=True, gc=False):
    """One change of one row, as it was committed.

    `new` is None after a delete and `old` before an insert. `old` of an update is None where only
    other columns than the key changed, unless the table has REPLICA IDENTITY FULL; otherwise it
    holds the key, or with FULL the whole row. `key` holds the primary key (after the change). A
    truncate has no rows.

    `transaction` is the database's number of the transaction, `lsn` the place of its commit in the
    write-ahead log, `number` counts its changes from 0.
    """

    table: str
    operation: Operation
    old: RowValues | None
    new: RowValues | None
    key: dict[str, Any]
    transaction: int
    lsn: str
    committed_at: datetime
    number: int = 0

    @property
    def row(self) -> RowValues:
        """The row as it is now; of a delete, as far as it is known of before. Empty: truncate."""
        return self.new or self.old or RowValues({})


class TransactionChanges(msgspec.Struct, frozen=True, gc=False):
    """All changes of one transaction to the tables of one mapping, in their order.

    The rows of a snapshot come one by one, each as a transaction of its own.
    """

    changes: tuple[RowChange, ...]
    transaction: int
    lsn: str
    committed_at: datetime


class ChangeMapping(msgspec.Struct, frozen=True):
    """A function that makes events of changes, and the tables it is for."""

    tables: tuple[str, ...]
    function: Callable[[Any], Any]
    whole: bool
    """Whether it takes TransactionChanges."""
    old_rows: bool
    """Whether it needs the whole row as it was."""

    def __call__(self, change: Any) -> Any:
        """What the function itself answers."""
        return self.function(change)


def captures(
    *tables: str, old_rows: bool = False
) -> Callable[[Callable[[Any], Any]], ChangeMapping]:
    """Make a mapping of a function of a RowChange, or of TransactionChanges.

    ```python
    @captures("orders")
    def order_changes(change: RowChange) -> tuple[str, OrderPlaced] | None:
        if change.operation in ("insert", "snapshot"):
            return f"order-{change.key['id']}", OrderPlaced(change.row["id"])
    ```

    The function answers an event, a list of events, or None for nothing of interest. An event whose
    class says `stream="order-{order_id}"` stands alone; any other as `(stream, event)`. It is
    called again with the same change after a crash: let it depend on nothing but its argument.

    `old_rows=True` asks for whole old rows: the tables must have REPLICA IDENTITY FULL then.

    Raises ConfigurationError for a function that does not say what it takes, or that waits.
    """

    def make(function: Callable[[Any], Any]) -> ChangeMapping:
        parameters = list(signature_of(function).parameters.values())
        taken = members_of(parameters[0]) if len(parameters) == 1 else ()
        if taken not in ((RowChange,), (TransactionChanges,)):
            raise ConfigurationError(
                f"{place_of(function)} is no mapping: it takes one argument, annotated RowChange "
                "or TransactionChanges."
            )
        if not tables or inspect.iscoroutinefunction(function):
            raise ConfigurationError(
                f"{place_of(function)} is no mapping: it must name its tables, as in "
                '@captures("orders"), and be a plain function (def).'
            )
        return ChangeMapping(tables, function, taken == (TransactionChanges,), old_rows)

    return make


def events_of(
    mapping: ChangeMapping, change: RowChange | TransactionChanges
) -> list[StreamedEvent]:
    """What a mapping makes of a change, each event with its stream.

    Raises whatever the function raises, and ConfigurationError for an event without a stream.
    """
    made = mapping(change)
    if made is None:
        return []
    return [_streamed(one, mapping) for one in (made if isinstance(made, list) else [made])]


def _streamed(made: Any, mapping: ChangeMapping) -> StreamedEvent:
    if isinstance(made, tuple) and len(made) == 2 and isinstance(made[0], str):
        return made[0], made[1]
    template = identity_of(type(made)).stream
    if not template:
        raise ConfigurationError(
            f"{place_of(mapping.function)} answered {type(made).__name__} without a stream: say "
            f'class {type(made).__name__}(Event, stream="order-{{order_id}}"), or answer '
            "(stream, event)."
        )
    return stream_named_by(made, template), made
