"""The projections that a read store was opened for: their tables, and changes made ready."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from diptych.adapters.sqlite.changes import Prepared
from diptych.adapters.sqlite.parking import Parking
from diptych.adapters.sqlite.read_tables import RESERVED
from diptych.adapters.sqlite.row_table import RowTable
from diptych.adapters.sqlite.views import view_table
from diptych.errors import ConfigurationError
from diptych.queries.read_store import Change, TableSpec

__all__ = ["Known", "Projections", "described"]


class Known(NamedTuple):
    """A projection; `table` is None when it keeps tables of its own."""

    spec: TableSpec
    table: RowTable | None


def described(spec: TableSpec) -> Known:
    """What is to be known of a projection. Raises ConfigurationError for a name that is taken."""
    for name in (spec.name, *spec.tables):
        if name in RESERVED or name.startswith("sqlite_"):
            raise ConfigurationError(
                f"a projection cannot be called, or keep a table, {name!r}: the name is taken. "
                "Choose another one."
            )
    if spec.shape is None:
        return Known(spec, None)
    if spec.view is None:
        return Known(spec, RowTable(spec, spec.shape))
    return Known(spec, view_table(spec, spec.shape, spec.view))


class Projections:
    """Projections by name."""

    def __init__(self, path: str) -> None:
        self._path = path
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
                f"the read store in {self._path} was not opened for the projection {name!r}; it "
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
        """Changes with their rows encoded: what happens to the objects later changes nothing."""
        prepared: list[Prepared] = []
        for change in changes:
            spec, table = self.known(change.projection)
            if change.rows or change.deleted:
                table = self.row_table(change.projection)
            rows = table.encoded(change.rows) if table is not None else []
            parking = None
            if change.parked or change.unparked:
                parking = Parking.of(change.projection, change.parked, change.unparked)
            prepared.append(Prepared(change, table, spec.fingerprint, rows, parking))
        return prepared
