"""The table of one projection with rows by key: its SQL, and rows on their way in and out.

Rows travel as columns, not one by one: a batch is one array per column on its way in, and one
tuple per column on its way out, so that what is done per value is done in C where it can be.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from diptych.adapters.postgres.row_column import RowColumn, columns_of
from diptych.adapters.postgres.statements import literal, quoted
from diptych.adapters.postgres.value_kind import Unkeepable
from diptych.errors import StoreError
from diptych.queries.matching import words_in
from diptych.queries.read_model import RowShape
from diptych.queries.read_store import Loaded, Row, TableSpec
from diptych.queries.standings import projection_of

__all__ = ["Arrays", "RowTable"]

Arrays = list[Sequence[Any]]
"""Rows as one array per column of the upsert."""

LONGEST_WORD = 500
"""Characters of a word that the full-text index sees; PostgreSQL takes 2046 bytes."""

_key_of = operator.itemgetter(0)
_position_of = operator.itemgetter(1)
_value_of = operator.itemgetter(2)
_make_row = partial(tuple.__new__, Row)


class RowTable:
    """One projection's rows: a table with one column per field of the read model.

    Beside them, `_position` is the position of the last event that touched the row; `_naive` names
    the fields whose time came without a time zone, where the annotation leaves that open (the
    column shows it as if in UTC); `_words` are the words of the search fields.
    """

    computed = False
    """Whether its rows are computed, not written."""

    def __init__(self, schema: str, spec: TableSpec, shape: RowShape) -> None:
        self.name = spec.name
        self.schema = schema
        self.shape = shape
        self.columns = columns_of(shape)
        self.unfit: str | None = None
        self.column = {column.field: column for column in self.columns}
        self.key = quoted(self.column[shape.key].name)
        self.qualified = f"{quoted(schema)}.{quoted(spec.name)}"
        self.marks_zones = any(column.zone_unknown for column in self.columns)
        self._getters = [operator.attrgetter(column.field) for column in self.columns]
        self._make_models = _maker(shape.model)
        shown = ["_position", *(["_naive"] if self.marks_zones else [])]
        self.shown = ", ".join((*map(quoted, shown), *map(_shown, self.columns)))
        self.select = f"SELECT {self.shown} FROM {self._source()} AS t"  # noqa: S608
        self.count = f"SELECT count(*) FROM {self._source()} AS t"  # noqa: S608
        self.load = self._load()
        self.upsert = self._upsert()
        self.fenced_upsert = self._fenced_upsert()
        self.delete = f"DELETE FROM {self.qualified} WHERE {self.key} = ANY ($1::text[])"  # noqa: S608

    # ---------------------------------------------------------------------------------- writing

    def arrays(self, rows: Iterable[Row]) -> Arrays:
        """Rows as `upsert` wants them, independent of the objects given.

        In the order of keys, which is the order of the index. Raises StoreError naming the field
        and the row for a value that PostgreSQL cannot keep.
        """
        ordered = sorted({row[0]: row for row in rows}.values(), key=_key_of)
        models = list(map(_value_of, ordered))
        arrays: Arrays = [list(map(_position_of, ordered))]
        columns = [list(map(getter, models)) for getter in self._getters]
        for column, values in zip(self.columns, columns, strict=True):
            try:
                arrays.append(column.kind.kept(values))
            except Exception as error:
                raise self.refused(ordered) or self._unkeepable(column, error) from error
        if self.marks_zones:
            arrays.append(self._marks(columns, len(ordered)))
        if self.shape.search:
            arrays.append([self.words(model) for model in models])
        return arrays

    def words(self, model: Any) -> str:
        """The words of a read model, as the column `_words` is made of them."""
        words = {word[:LONGEST_WORD] for word in words_in(model, self.shape)}
        return " ".join(words)

    def refused(self, rows: Iterable[Row]) -> StoreError | None:
        """What to say when the server or the driver refused rows; None if they look good."""
        for key, _, model in rows:
            for column in self.columns:
                why = _why(column, getattr(model, column.field))
                if why is not None:
                    return StoreError(
                        f"the row {key!r} of the projection {self.name!r} cannot be kept in "
                        f"PostgreSQL because of its field {column.field!r}: {why}. Nothing was "
                        "written."
                    )
        return None

    def _unkeepable(self, column: RowColumn, error: Exception) -> StoreError:
        return StoreError(
            f"rows of the projection {self.name!r} cannot be kept in PostgreSQL because of their "
            f"field {column.field!r}: {error}. Nothing was written."
        )

    def _marks(self, columns: Sequence[Sequence[Any]], count: int) -> list[str | None]:
        marks: list[str | None] = [None] * count
        for column, values in zip(self.columns, columns, strict=True):
            if column.zone_unknown:
                for at, value in enumerate(values):
                    if value is not None and value.tzinfo is None:
                        before = marks[at]
                        marks[at] = column.field if before is None else f"{before} {column.field}"
        return marks

    def _upsert(self, first: int = 1, condition: str = "") -> str:
        """Insert or replace rows that come as arrays in the parameters from `first` on."""
        names, types, values = ["_position"], ["bigint"], ["u.c0"]
        for column in self.columns:
            values.append(f"u.c{len(names)}{_cast(column)}")
            names.append(column.name)
            types.append(column.kind.parameter)
        if self.marks_zones:
            values.append(f"u.c{len(names)}")
            names.append("_naive")
            types.append("text")
        if self.shape.search:
            values.append(f"array_to_tsvector(string_to_array(u.c{len(names)}, ' '))")
            names.append("_words")
            types.append("text")
        sets = [f"{name} = excluded.{name}" for name in map(quoted, names) if name != self.key]
        arrays = ", ".join(f"${first + at}::{type_}[]" for at, type_ in enumerate(types))
        return (
            f"INSERT INTO {self.qualified} AS t ({', '.join(map(quoted, names))}) "  # noqa: S608
            f"SELECT {', '.join(values)} FROM unnest({arrays}) "
            f"AS u ({', '.join(f'c{at}' for at in range(len(names)))}) {condition} "
            f"ON CONFLICT ({self.key}) DO UPDATE SET {', '.join(sets)}"
        )

    def _fenced_upsert(self) -> str:
        """Move the checkpoint and write rows in one statement: $1 after, $2 upto, $3 fingerprint,
        $4 epoch or null.

        Gives a row if the checkpoint stood at $1 and the lease at $4; otherwise it writes nothing.
        Where it has to wait for the checkpoint, it looks at both again afterwards.
        """
        checkpoints = f"{quoted(self.schema)}.checkpoints"
        return (
            f"WITH moved AS (UPDATE {checkpoints} AS c SET position = $2::bigint, fingerprint = "  # noqa: S608
            "CASE WHEN c.position = 0 THEN $3::text ELSE c.fingerprint END "
            f"WHERE c.projection = {literal(self.name)} AND c.position = $1::bigint "
            "AND c.epoch = coalesce($4::bigint, c.epoch) RETURNING 1), "
            f"written AS ({self._upsert(5, 'WHERE EXISTS (SELECT FROM moved)')}) "
            "SELECT FROM moved"
        )

    # ---------------------------------------------------------------------------------- reading

    def possible(self, keys: Sequence[str]) -> Sequence[str]:
        """Those of the keys that a row can have: no text that PostgreSQL cannot keep."""
        refusal = self.column[self.shape.key].kind.refusal
        if refusal("".join(keys)) is None:
            return keys
        return [key for key in keys if refusal(key) is None]

    def _load(self) -> str:
        """The rows of the keys $1, each beside the checkpoint; at least one line.

        OFFSET 0 keeps the planner from joining in any other way than by looking up key after key:
        a plan made while the table was tiny is kept, and has to be right when it is large.
        """
        return (
            f"SELECT c.position, r.* FROM ({self._checkpoint()}) AS c (position) "  # noqa: S608
            "LEFT JOIN LATERAL (SELECT r.* FROM unnest($1::text[]) AS k (key) CROSS JOIN LATERAL "
            f"(SELECT {self.shown} FROM {self._source()} AS t WHERE t.{self.key} = k.key OFFSET 0)"
            " AS r) AS r ON true"
        )

    def _source(self) -> str:
        """What rows are read from."""
        return self.qualified

    def _checkpoint(self) -> str:
        """A SELECT of the position at which it stands."""
        checkpoints = f"{quoted(self.schema)}.checkpoints"
        return (
            f"SELECT coalesce((SELECT position FROM {checkpoints} "  # noqa: S608
            f"WHERE projection = {literal(self.name)}), 0)"
        )

    def loaded(self, records: Sequence[Any]) -> Loaded:
        """What running `load` gave."""
        checkpoint: int = records[0][0]
        if records[0][1] is None:
            return Loaded(checkpoint, {})
        rows = self._rows(list(zip(*records, strict=True))[1:])
        return Loaded(checkpoint, {row.key: row for row in rows})

    def decoded(self, records: Sequence[Any]) -> list[Row]:
        """The rows that `select` gave."""
        return self._rows(list(zip(*records, strict=True))) if records else []

    def _rows(self, shown: Sequence[Sequence[Any]]) -> list[Row]:
        positions, *values = shown
        marks = values.pop(0) if self.marks_zones else ()
        try:
            for at, column in enumerate(self.columns):
                if column.kind.read is not None:
                    values[at] = column.kind.read(values[at])
            if any(marks):
                self._take_zones_away(values, marks)
            models = self._make_models(values)
        except (ValueError, TypeError) as error:
            raise self.misfit(str(error)) from error
        keys = values[self.columns.index(self.column[self.shape.key])]
        return list(map(_make_row, zip(keys, positions, models, strict=True)))

    def _take_zones_away(self, values: list[Any], marks: Sequence[str | None]) -> None:
        at = {column.field: index for index, column in enumerate(self.columns)}
        for row, fields in enumerate(marks):
            for field in fields.split() if fields else ():
                if field in at:
                    values[at[field]][row] = values[at[field]][row].replace(tzinfo=None)

    def misfit(self, why: str) -> StoreError:
        """What to say of rows that were made for another shape of the read model."""
        return StoreError(
            f"a row of the projection {self.name!r} is no {self.shape.model.__name__} any more: "
            f"{why}. The read model's shape was changed; make its rows anew with "
            f"`diptych projections rebuild {projection_of(self.name)}`."
        )


def _maker(model: type) -> Any:
    """What makes read models of columns."""
    fields: tuple[str, ...] = model.__struct_fields__  # type: ignore[attr-defined]
    if _takes_positions(model):
        return lambda columns: list(map(model, *columns))
    return lambda columns: [
        model(**dict(zip(fields, values, strict=True))) for values in zip(*columns, strict=True)
    ]


def _takes_positions(model: type) -> bool:
    kinds = {one.kind for one in inspect.signature(model).parameters.values()}
    return kinds <= {inspect.Parameter.POSITIONAL_OR_KEYWORD}


def _shown(column: RowColumn) -> str:
    # JSON as text, because a connection that is not ours may decode it by itself. All others as
    # what they are: then a prepared statement never changes its result type, whatever becomes of
    # the table, and no transaction fails for that.
    name = quoted(column.name)
    return f"{name}::{'text' if column.kind.type == 'json' else column.kind.type} AS {name}"


def _cast(column: RowColumn) -> str:
    return f"::{column.kind.type}" if column.kind.sent_as else ""


def _why(column: RowColumn, value: Any) -> str | None:
    if value is None:
        return None if column.nullable else "it is None, and its annotation does not allow that"
    try:
        column.kind.keep(value)
    except Unkeepable as error:
        return str(error)
    except Exception as error:  # noqa: BLE001  whatever it is, it is about this value
        return f"{value!r} cannot be encoded ({error})"
    return column.kind.refusal(value)
