"""Views: rows computed by a user's SELECT, shown in the shape that a row table has.

Everything that reads rows by key then works on them unchanged. A materialized view is a row table
that is filled by its SELECT, because SQLite has no other kind.
"""

from __future__ import annotations

import apsw

from diptych.adapters.sqlite.row_field import RowField, fields_of
from diptych.adapters.sqlite.row_table import RowTable
from diptych.adapters.sqlite.statements import all_rows, quoted, sql
from diptych.errors import ConfigurationError
from diptych.queries.read_model import RowShape
from diptych.queries.read_store import TableSpec, ViewSpec

__all__ = ["drop_view", "make_view", "refresh_view", "view_table"]


def view_table(spec: TableSpec, shape: RowShape, view: ViewSpec) -> RowTable:
    """The rows of a view, to be read like those of a row table."""
    if view.kept == "materialized":
        return RowTable(spec, shape)
    source = quoted(_rows(spec.name))
    if view.kept == "query":
        source = f"({_select(spec, shape, view)})"
    return RowTable(spec, shape, source, f"({sql('select_head')})")


def make_view(connection: apsw.Connection, spec: TableSpec, view: ViewSpec) -> None:
    """Make the view anew if its SELECT has changed, and see that it gives what it must.

    Raises ConfigurationError when the SELECT cannot be run, or a field has no column.
    """
    shape = spec.shape
    assert shape is not None  # noqa: S101  a view has rows by key
    try:
        if view.kept == "view":
            _make(connection, spec.name, _own(view, spec))
            _make(connection, _rows(spec.name), _select(spec, shape, view))
            all_rows(connection, f"SELECT * FROM {quoted(_rows(spec.name))} LIMIT 0")  # noqa: S608
        else:
            all_rows(connection, f"{_select(spec, shape, view)} LIMIT 0")
    except apsw.SQLError as error:
        raise ConfigurationError(
            f"the view {spec.name} cannot be made: {error}. Its SELECT needs a column for every "
            f"field of {shape.model.__name__}, and its tables must be there before it."
        ) from error


def refresh_view(connection: apsw.Connection, spec: TableSpec, view: ViewSpec) -> int:
    """Compute a materialized view anew in the present transaction; its new checkpoint."""
    shape = spec.shape
    assert shape is not None  # noqa: S101  a view has rows by key
    ((head,),) = all_rows(connection, sql("select_head"))
    name, select = quoted(spec.name), _select(spec, shape, view)
    # Only rows that have changed are written, so that a refresh costs readers and indexes little.
    connection.execute(
        f"INSERT INTO {name} (key, position, row) SELECT key, ?1, row FROM ({select}) WHERE TRUE "  # noqa: S608
        "ON CONFLICT (key) DO UPDATE SET position = excluded.position, row = excluded.row "
        "WHERE excluded.row IS NOT row",
        (head,),
    )
    connection.execute(f"DELETE FROM {name} WHERE key NOT IN (SELECT key FROM ({select}))")  # noqa: S608
    connection.execute(sql("insert_checkpoint"), (spec.name, head, spec.fingerprint))
    checkpoint: int = head
    return checkpoint


def drop_view(connection: apsw.Connection, name: str) -> None:
    """Drop what `make_view` made, if it is there."""
    # Another view may be called `<name>_rows` as well.
    ours = f"CREATE VIEW {quoted(_rows(name))} AS SELECT CAST(shown."
    for each, begins in ((_rows(name), ours), (name, "")):
        found = all_rows(connection, sql("select_view"), (each,))
        if found and found[0][0].startswith(begins):
            connection.execute(f"DROP VIEW {quoted(each)}")


def _rows(name: str) -> str:
    return f"{name}_rows"


def _make(connection: apsw.Connection, name: str, select: str) -> None:
    statement = f"CREATE VIEW {quoted(name)} AS {select}"
    found = all_rows(connection, sql("select_view"), (name,))
    if found and found[0][0] == statement:
        return
    if found:
        connection.execute(f"DROP VIEW {quoted(name)}")
    connection.execute(statement)


def _own(view: ViewSpec, spec: TableSpec) -> str:
    select = view.sql if isinstance(view.sql, str) else view.sql.get("sqlite")
    if select is None:
        raise ConfigurationError(
            f"the view {spec.name} has no SELECT for SQLite: sql = {{'sqlite': 'SELECT ...'}}."
        )
    return select.strip().rstrip(";")


def _select(spec: TableSpec, shape: RowShape, view: ViewSpec) -> str:
    """The user's SELECT as rows of key, position and JSON."""
    fields = fields_of(shape)
    kept_by_name = view.kept == "view"
    source = quoted(spec.name) if kept_by_name else f"({_own(view, spec)})"
    values = ", ".join(f"{_literal(field.label)}, {_value(field)}" for field in fields.values())
    return (
        f"SELECT CAST({_column(shape.key)} AS TEXT) AS key, 0 AS position, "  # noqa: S608
        f"json_object({values}) AS row "
        f"FROM {source} AS shown"
    )


def _column(name: str) -> str:
    # SQLite takes a name in quotes that no column has for a text, unless the table is named too.
    return f"shown.{quoted(name)}"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _value(field: RowField) -> str:
    column = _column(field.name)
    if field.kind == "bool":
        return f"json(iif({column} IS NULL, 'null', iif({column}, 'true', 'false')))"
    if field.kind == "json":
        return f"json({column})"
    return column
