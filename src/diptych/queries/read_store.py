"""The port of a read store, with its numbered guarantees and declared capabilities."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Protocol

from diptych.queries.parked import Parked
from diptych.queries.standings import (
    CheckpointInfo,
    Generation,
    Lease,
    LeaseSwap,
    Role,
    Standings,
)
from diptych.queries.table_spec import TableSpec, ViewKept, ViewSpec

__all__ = [
    "Capability",
    "Change",
    "CheckpointInfo",
    "Filter",
    "Find",
    "Generation",
    "InlineRows",
    "Lease",
    "LeaseSwap",
    "Loaded",
    "Operator",
    "Parked",
    "ReadStore",
    "Role",
    "Row",
    "Standings",
    "Statement",
    "TableSpec",
    "ViewKept",
    "ViewSpec",
]


class Capability(enum.Enum):
    """What a read store can do beyond rows by key; the engine picks its strategy by these."""

    TRANSACTIONAL_CHECKPOINT = "rows and checkpoint change in one transaction"
    INLINE = "can take part in the transaction of an event log in the same database"
    FIND = "rows by field values, ordered"
    FULL_TEXT = "rows by words in their search fields"
    SQL = "own tables and own SELECT"
    VIEW = "rows that the database computes from tables beside them"


class Row(NamedTuple):
    """One row: its key, the position of the last event that touched it, and its read model."""

    key: str
    position: int
    value: Any


class Statement(NamedTuple):
    """One SQL statement of a projection that writes its own SQL, with its parameters."""

    sql: str
    parameters: tuple[Any, ...] = ()


class Change(NamedTuple):
    """What one projection makes of the events after `after`, up to and including `upto`.

    With `after` == `upto` it changes rows and what is parked, and the checkpoint stays. `epoch` is
    that of the lease it is made under; None: whoever holds the lease. `parked` is added (or
    replaces what is parked for the same lane and position), `unparked` is removed.
    """

    projection: str
    after: int
    upto: int
    rows: Sequence[Row] = ()
    deleted: Sequence[str] = ()
    statements: Sequence[Statement] = ()
    epoch: int | None = None
    parked: Sequence[Parked] = ()
    unparked: Sequence[Parked] = ()


class Loaded(NamedTuple):
    """Rows that exist among the keys asked for, and the checkpoint of the same moment."""

    checkpoint: int
    rows: dict[str, Row]


Operator = Literal["=", "<", "<=", ">", ">=", "in"]


class Filter(NamedTuple):
    """One condition on a field of a row."""

    field: str
    operator: Operator
    value: Any


class Find(NamedTuple):
    """Rows that meet all `filters`, by a field: ties by key, rows without a value last.

    Filters and order name the key or declared `indexes` only: what no store has to look for row by
    row, so that every store can answer. `search` asks for rows that contain all its words (or words
    beginning with them) in their search fields. `after_key` with no `order_by` continues a scan by
    key.
    """

    filters: tuple[Filter, ...] = ()
    order_by: str | None = None
    descending: bool = False
    limit: int | None = None
    search: str | None = None
    after_key: str | None = None


class ReadStore(Standings, Protocol):
    """Rows of read models, with the checkpoint of each projection beside its rows.

    G1 `apply` writes all rows, deletions, statements and checkpoints of its changes, or none.
    G2 A change moves a checkpoint only from exactly `after` to `upto`; otherwise CheckpointMoved is
       raised and nothing of the call is written (this is the fence between two runners).
    G3 `load` returns rows and checkpoint of one moment.
    G4 A row read is equal to the row written last, and independent of it: changing a returned
       object changes nothing stored.
    G5 `find` returns exactly the rows that meet its filters, in total order, cut to `limit`.
    G6 A projection that was never applied stands at checkpoint 0 and has no rows; so does one that
       was reset.
    G7 `search` finds rows by whole words and by their beginnings, whatever their case.
    G8 What `apply` wrote is still there after close and open, except in a store that declares
       itself volatile.
    G9 An ability that is not declared raises ConfigurationError; it never answers wrongly.
    G10 The rows of a view are what its SELECT gives: at every moment, or for a materialized one at
       the moment of the last `refresh`, whose readers see all old rows or all new ones. Its
       checkpoint is a position of the log beside it whose events the rows show, and all before.
    G11 A change with an epoch is written only while the lease of its projection has that epoch;
        otherwise LeaseLost is raised and nothing of the call is written.
    G12 What a change parks and unparks commits with its rows and its checkpoint, or not at all.

    Errors: CheckpointMoved, LeaseLost, StoreUnavailable, SchemaTooNew on opening.
    """

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this store can do; constant."""

    @property
    def volatile(self) -> bool:
        """Whether everything is gone after `close` (memory)."""

    def describe(self) -> dict[str, str]:
        """What it is and what its writes survive, for people: `adapter` first."""

    async def open(self, tables: Sequence[TableSpec]) -> None:
        """Connect and make what is missing for these projections. Calling again adds the new."""

    async def load(self, projection: str, keys: Sequence[str]) -> Loaded:
        """The rows of these keys. Raises ConfigurationError for a projection without keys."""

    async def apply(self, changes: Sequence[Change]) -> None:
        """Write the changes of one or more projections in one go."""

    async def find(self, projection: str, find: Find) -> list[Row]:
        """Rows by their fields or words; see Find."""

    async def count(self, projection: str, filters: tuple[Filter, ...] = ()) -> int:
        """How many rows meet the filters."""

    async def select(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
        """Run one reading SQL statement (capability SQL); it cannot write."""

    async def reset(self, table: TableSpec, epoch: int | None = None) -> None:
        """Forget rows, checkpoint and what is parked, and make its tables anew for `table`.

        With an `epoch` only while its lease has that; otherwise LeaseLost is raised.
        """

    async def refresh(self, view: str) -> int:
        """Compute the rows of a materialized view anew, while others read; its new checkpoint.

        For another view: only its checkpoint, for it shows everything anyway. Raises
        ConfigurationError for what is no view.
        """

    def scratch(self) -> ReadStore:
        """A new, empty store of the same kind, not yet open, whose data is gone when it is closed.

        Read models are folded into it again to be compared with the kept ones.
        """

    async def close(self) -> None:
        """Let go of everything. Calling again does nothing."""


class InlineRows(Protocol):
    """A read store within the transaction of an event log (capability INLINE)."""

    async def checkpoint(self, projection: str) -> CheckpointInfo:
        """As ReadStore.checkpoint."""

    async def load(self, projection: str, keys: Sequence[str]) -> Loaded:
        """As ReadStore.load, seeing what this transaction wrote."""

    async def parked(self, projection: str) -> list[Parked]:
        """As Standings.parked."""

    async def apply(self, changes: Sequence[Change]) -> None:
        """As ReadStore.apply, committed by the log."""
