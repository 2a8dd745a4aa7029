"""The projections that a read store was opened for: their tables, and changes made ready."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from diptych.adapters.postgres.row_column import LONGEST_NAME
from diptych.adapters.postgres.row_table import Arrays, RowTable
from diptych.adapters.postgres.statements import quoted
from diptych.adapters.postgres.views import ViewTable
from diptych.errors import ConfigurationError, StoreError
from diptych.queries.fence import checkpoint_moved
from diptych.queries.read_store import Change, TableSpec
from diptych.queries.standings import projection_of

__all__ = ["Known", "Prepared", "Projections", "described", "gone"]

RESERVED = frozenset(
    {
        "checkpoints",
        "commands",
        "event_tags",
        "events",
        "events_readable",
        "log",
        "parked",
        "read_store",
        "snapshots",
    }
)
"""Names that no projection may have: they are taken where log and read models share a schema."""


class Known(NamedTuple):
    """A projection; `table` is None when it keeps tables of its own."""

    spec: TableSpec
    table: RowTable | None


class Prepared(NamedTuple):
    """A change with its rows as arrays; `table` is None for a projection with tables of its own."""

    change: Change
    table: RowTable | None
    fingerprint: str
    arrays: Arrays | None


def described(schema: str, spec: TableSpec) -> Known:
    """What is to be known of a projection. Raises ConfigurationError for a name it cannot have."""
    for name in (spec.name, *spec.tables):
        if name in RESERVED:
            raise ConfigurationError(
                f"a projection cannot be called, or keep a table, {name!r}: the name is taken. "
                "Choose another one."
            )
        if len(name.encode()) > LONGEST_NAME or "\0" in name or not name:
            raise ConfigurationError(
                f"a projection cannot be called, or keep a table, {name!r}: PostgreSQL takes names "
                f"of 1 to {LONGEST_NAME} bytes{_with_number(name)}. Choose another one."
            )
    if spec.shape is None:
        return Known(spec, None)
    if spec.view is None:
        return Known(spec, RowTable(schema, spec, spec.shape))
    return Known(spec, ViewTable(schema, spec, spec.shape, spec.view))


def _with_number(name: str) -> str:
    if projection_of(name) == name:
        return ""
    return ", and its rows are being made anew beside those that are served, with a number behind"


class Projections:
    """Projections by name."""

    def __init__(self, schema: str, place: str) -> None:
        self.checkpoints = f"{quoted(schema)}.checkpoints"
        self._place = f"schema {schema} of {place}"
        self._known: dict[str, Known] = {}

    def add(self, known: Known) -> None:
        """Know a projection from now on, as it is now."""
        self._known[known.spec.name] = known

    def forget(self, name: str) -> None:
        """Know a projection no more."""
        self._known.pop(name, None)

    def known(self, name: str) -> Known:
        """A projection. Raises ConfigurationError when the store was not opened for it."""
        try:
            return self._known[name]
        except KeyError:
            raise ConfigurationError(
                f"the read store in {self._place} was not opened for the projection {name!r}; it "
                f"knows {', '.join(sorted(self._known)) or 'none'}."
            ) from None

    def row_table(self, name: str) -> RowTable:
        """The table of a projection with rows by key. Raises ConfigurationError if it has none."""
        table = self.known(name).table
        if table is None:
            raise ConfigurationError(
                f"the projection {name!r} keeps tables of its own and has no rows by key: read it "
                "with select."
            )
        return table

    def prepare(self, changes: Sequence[Change]) -> list[Prepared]:
        """Changes with their rows as arrays: what happens to the objects later changes nothing.

        Raises CheckpointMoved when two changes of one projection do not follow each other.
        """
        prepared: list[Prepared] = []
        stands: dict[str, int] = {}
        for change in changes:
            spec, table = self.known(change.projection)
            if change.rows or change.deleted:
                table = self.row_table(change.projection)
            stood = stands.get(spec.name, change.after)
            if stood != change.after:
                raise checkpoint_moved(spec.name, change.after, stood)
            stands[spec.name] = change.upto
            arrays = table.arrays(change.rows) if table is not None and change.rows else None
            prepared.append(Prepared(change, table, spec.fingerprint, arrays))
        return prepared


def gone(projection: str, schema: str) -> StoreError:
    """What to say when rows that this store was opened for are not there any more."""
    return StoreError(
        f"the rows {projection!r} in schema {schema} are gone: another process has dropped "
        "them. Open the store again to make them anew."
    )
