"""The tables of read models: made, brought to their present shape, and dropped."""

from __future__ import annotations

import apsw
import msgspec

from diptych.adapters.sqlite.row_table import RowTable
from diptych.adapters.sqlite.statements import all_rows, quoted, sql
from diptych.errors import ConfigurationError, SchemaTooNew
from diptych.queries.read_store import TableSpec

__all__ = [
    "RESERVED",
    "SCHEMA_VERSION",
    "drop_tables",
    "make_own_tables",
    "make_row_table",
    "make_store",
]

SCHEMA_VERSION = 2
RESERVED = frozenset(
    {
        "checkpoints",
        "commands",
        "event_tags",
        "events",
        "events_readable",
        "log",
        "parked",
        "parked_by_key",
        "read_store",
        "snapshots",
        "streams",
    }
)
"""Names that no projection may have: they are taken where log and read models share a file."""


_PARKED = ("parked", "parked_by_key")
_SHOWN = "SELECT json_extract(row, "


def make_store(connection: apsw.Connection, path: str) -> None:
    """Make diptych's own tables for read models. Raises SchemaTooNew, ConfigurationError."""
    names = msgspec.json.encode(("read_store", "checkpoints", *_PARKED)).decode()
    taken = {name for (name,) in all_rows(connection, sql("select_tables"), (names,))}
    if "read_store" in taken:
        ((found,),) = all_rows(connection, sql("select_read_store"))
        if found > SCHEMA_VERSION:
            raise SchemaTooNew(
                f"{path} has read models of schema {found}, and this diptych knows "
                f"{SCHEMA_VERSION} at most. Upgrade diptych: pip install --upgrade diptych",
                found=found,
                known=SCHEMA_VERSION,
            )
        if found < SCHEMA_VERSION:
            _refuse_strangers(path, taken & set(_PARKED))
            _add_standings(connection)
        return
    _refuse_strangers(path, taken)
    for name in ("read_store", "checkpoints", *_PARKED):
        connection.execute(sql(f"create_{name}"))
    connection.execute(sql("insert_read_store"), (SCHEMA_VERSION,))


def _add_standings(connection: apsw.Connection) -> None:
    """From schema 1 to 2: leases, roles, and what is parked."""
    for column in ("epoch", "terms", "role"):
        connection.execute(sql(f"alter_checkpoints_{column}"))
    for name in _PARKED:
        connection.execute(sql(f"create_{name}"))
    connection.execute(sql("update_read_store"), (SCHEMA_VERSION,))


def _refuse_strangers(path: str, taken: set[str]) -> None:
    if taken:
        raise ConfigurationError(
            f"{path} has a table {min(taken)!r} that is not diptych's. Give read models a file of "
            "their own."
        )


def make_row_table(connection: apsw.Connection, table: RowTable) -> None:
    """Make what is missing for rows by key, and make anew what has another shape.

    Rows are kept: a new index, view or full-text index is made from them.
    """
    wanted = _objects(table)
    existing = _existing(connection, table.name)
    for name, (kind, statement) in existing.items():
        if kind != "table" and wanted.get(name) != statement:
            connection.execute(f"DROP {kind} {quoted(name)}")
    search = f"{table.name}_search"
    if search in existing and wanted.get(search) != existing[search][1]:
        connection.execute(f"DROP TABLE {quoted(search)}")
    if table.name in existing and wanted[table.name] != existing[table.name][1]:
        _move_rows(connection, table, wanted)
    present = {
        name: statement for name, (_, statement) in _existing(connection, table.name).items()
    }
    for name, statement in wanted.items():
        if present.get(name) != statement:
            connection.execute(statement)
            if name == search:
                connection.execute(_fill_search(table))


def make_own_tables(connection: apsw.Connection, spec: TableSpec) -> None:
    """Run a projection's own CREATE statements if one of its tables is missing."""
    names = msgspec.json.encode(spec.tables).decode()
    taken = all_rows(connection, sql("select_tables"), (names,))
    if len(taken) == len(set(spec.tables)):
        return
    for statement in spec.schema:
        try:
            connection.execute(statement).fetchall()
        except apsw.SQLError as error:
            # Some of its tables are there from before; a rebuild makes them anew.
            if "already exists" not in str(error):
                raise


def drop_tables(connection: apsw.Connection, spec: TableSpec) -> None:
    """Drop a projection's tables with all that hangs on them."""
    if spec.shape is None:
        for name in spec.tables:
            connection.execute(f"DROP TABLE IF EXISTS {quoted(name)}")
        return
    existing = _existing(connection, spec.name)
    # Indexes and triggers go with their table.
    for name in (f"{spec.name}_columns", f"{spec.name}_search", spec.name):
        if name in existing and existing[name][0] in {"view", "table"}:
            connection.execute(f"DROP {existing[name][0]} {quoted(name)}")


def _existing(connection: apsw.Connection, projection: str) -> dict[str, tuple[str, str]]:
    """Kind and CREATE statement of what a projection has, by name; nothing of its neighbours,
    which may be called `<name>_search` or `<name>_columns` as well.
    """
    names = (projection, f"{projection}_columns", f"{projection}_search")
    parameters = (msgspec.json.encode(names).decode(), projection)
    found = all_rows(connection, sql("select_objects"), parameters)
    begins = {
        f"{projection}_columns": f"CREATE VIEW {quoted(f'{projection}_columns')} AS {_SHOWN}",
        f"{projection}_search": "CREATE VIRTUAL TABLE ",
    }
    return {
        name: (kind, statement)
        for kind, name, statement in found
        if statement.startswith(begins.get(name, ""))
    }


def _objects(table: RowTable) -> dict[str, str]:
    """CREATE statements by name, exactly as SQLite keeps them."""
    name, shape = quoted(table.name), table.shape
    row = "position INTEGER NOT NULL, row TEXT NOT NULL"
    columns = f"key TEXT PRIMARY KEY, {row}) STRICT, WITHOUT ROWID"
    if shape.search:  # full-text search knows rows by number
        columns = f"id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, {row}) STRICT"
    objects = {table.name: f"CREATE TABLE {name} ({columns}"}
    for field in dict.fromkeys(shape.indexes):
        if field != shape.key:
            index = f"{table.name}_by_{field}"
            expression = table.fields[field].expression
            objects[index] = f"CREATE INDEX {quoted(index)} ON {name} ({expression})"
    shown = ", ".join(
        f"json_extract(row, {field.path}) AS {quoted(field.name)}"
        for field in table.fields.values()
    )
    view = f"{table.name}_columns"
    objects[view] = f"CREATE VIEW {quoted(view)} AS SELECT {shown} FROM {name}"  # noqa: S608
    if shape.search:
        objects |= _search_objects(table)
    return objects


def _search_objects(table: RowTable) -> dict[str, str]:
    """The full-text index, and triggers that keep it in step with the rows."""
    name, search = quoted(table.name), quoted(f"{table.name}_search")
    texts = ", ".join(f"text{number}" for number in range(len(table.shape.search)))
    paths = [table.fields[field].path for field in table.shape.search]
    new = ", ".join(f"json_extract(new.row, {path})" for path in paths)
    changed = " OR ".join(
        f"json_extract(old.row, {path}) IS NOT json_extract(new.row, {path})" for path in paths
    )
    insert = f"INSERT INTO {search} (rowid, {texts}) VALUES (new.id, {new});"  # noqa: S608
    delete = f"DELETE FROM {search} WHERE rowid = old.id;"  # noqa: S608
    triggers = {
        "insert": f"AFTER INSERT ON {name} BEGIN {insert} END",
        "delete": f"AFTER DELETE ON {name} BEGIN {delete} END",
        "update": f"AFTER UPDATE OF row ON {name} WHEN {changed} BEGIN {delete} {insert} END",
    }
    options = "content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 0'"
    objects = {
        f"{table.name}_search": f"CREATE VIRTUAL TABLE {search} USING fts5 ({texts}, {options})"
    }
    for event, body in triggers.items():
        trigger = f"{table.name}_search_{event}"
        objects[trigger] = f"CREATE TRIGGER {quoted(trigger)} {body}"
    return objects


def _fill_search(table: RowTable) -> str:
    texts = ", ".join(f"text{number}" for number in range(len(table.shape.search)))
    values = ", ".join(
        f"json_extract(row, {table.fields[field].path})" for field in table.shape.search
    )
    search, name = quoted(f"{table.name}_search"), quoted(table.name)
    return f"INSERT INTO {search} (rowid, {texts}) SELECT id, {values} FROM {name}"  # noqa: S608


def _move_rows(connection: apsw.Connection, table: RowTable, wanted: dict[str, str]) -> None:
    """Put the rows into a table of another kind, when search fields came or went."""
    name, before = quoted(table.name), quoted(f"{table.name}_before")
    for other, (kind, _) in _existing(connection, table.name).items():
        if other != table.name:  # renaming would take them along
            connection.execute(f"DROP {kind} {quoted(other)}")
    connection.execute(f"ALTER TABLE {name} RENAME TO {before}")
    connection.execute(wanted[table.name])
    connection.execute(
        f"INSERT INTO {name} (key, position, row) SELECT key, position, row FROM {before}"  # noqa: S608
    )
    connection.execute(f"DROP TABLE {before}")
