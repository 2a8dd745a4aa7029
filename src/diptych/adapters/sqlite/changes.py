"""Changes of projections, checked against their checkpoints and leases, and written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import apsw
import msgspec

from diptych.adapters.sqlite.parking import Parking
from diptych.adapters.sqlite.row_table import RowTable
from diptych.adapters.sqlite.statements import ChunkedInsert, all_rows, sql
from diptych.errors import StoreError
from diptych.queries.fence import checkpoint_moved, lease_lost
from diptych.queries.read_store import Change

__all__ = ["Prepared", "check_changes", "native", "write_changes"]

_CHECKPOINTS = ChunkedInsert(
    "INSERT INTO checkpoints (projection, position, fingerprint)",
    3,
    "ON CONFLICT (projection) DO UPDATE SET position = excluded.position, fingerprint ="
    " iif(checkpoints.position = 0, excluded.fingerprint, checkpoints.fingerprint)",
)
_NATIVE = frozenset({str, int, float, bytes, bool, type(None)})


class Prepared(NamedTuple):
    """A change with its rows encoded; `table` is None for a projection with tables of its own."""

    change: Change
    table: RowTable | None
    fingerprint: str
    rows: list[Any]
    parking: Parking | None = None

    @property
    def size(self) -> int:
        """How many rows it writes, roughly."""
        change = self.change
        size = len(self.rows) // 3 + len(change.deleted) + 4 * len(change.statements) + 1
        return size + 2 * (len(change.parked) + len(change.unparked)) if self.parking else size


def check_changes(connection: apsw.Connection, changes: Sequence[Prepared]) -> None:
    """Raise LeaseLost unless each change is made under the present lease (if it says under which),
    and CheckpointMoved unless it begins where its projection stands.

    Under the write lock: what is checked here still holds when the changes are written.
    """
    names = msgspec.json.encode([prepared.change.projection for prepared in changes]).decode()
    found = all_rows(connection, sql("select_checkpoints"), (names,))
    stands: dict[str, tuple[int, int]] = {name: (at, epoch) for name, at, epoch in found}
    for prepared in changes:
        change = prepared.change
        name, after = change.projection, change.after
        actual, epoch = stands.get(name, (0, 0))
        if change.epoch is not None and change.epoch != epoch:
            raise lease_lost(name, change.epoch, epoch)
        if after != actual:
            raise checkpoint_moved(name, after, actual)
        stands[name] = change.upto, epoch


def write_changes(connection: apsw.Connection, changes: Sequence[Prepared]) -> None:
    """Write rows, deletions, statements, what is parked and checkpoints."""
    checkpoints: dict[str, tuple[str, int, str]] = {}
    for change, table, fingerprint, rows, parking in changes:
        if table is not None:
            table.write(connection, rows)
            table.delete(connection, change.deleted)
        for statement, parameters in change.statements:
            _run(connection, change.projection, statement, parameters)
        if parking is not None:
            parking.write(connection)
        checkpoints[change.projection] = (change.projection, change.upto, fingerprint)
    values = [value for checkpoint in checkpoints.values() for value in checkpoint]
    _CHECKPOINTS.run(connection.cursor(), values)


def _run(
    connection: apsw.Connection, projection: str, statement: str, parameters: Sequence[Any]
) -> None:
    try:
        connection.execute(statement, native(parameters)).fetchall()
    except (apsw.SQLError, apsw.ConstraintError, apsw.BindingsError, apsw.MismatchError) as error:
        raise StoreError(
            f"the projection {projection!r} could not run {statement[:200]!r}: {error}"
        ) from error


def native(parameters: Sequence[Any]) -> list[Any]:
    """Parameters as SQLite knows them: a time is text, a Decimal too."""
    return [value if type(value) in _NATIVE else msgspec.to_builtins(value) for value in parameters]
