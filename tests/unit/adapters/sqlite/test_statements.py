from __future__ import annotations

from importlib.resources import files

import apsw
import pytest

from diptych.adapters.sqlite.statements import ChunkedInsert, quoted, sql

FILES = sorted(
    path.name.removesuffix(".sql") for path in (files("diptych.adapters.sqlite") / "sql").iterdir()
)


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 7, 255, 256, 257, 1000])
def test_every_number_of_rows_is_inserted_in_order_with_few_statements(rows):
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
    sizes = []
    connection.exec_trace = lambda _cursor, text, _values: sizes.append(text.count("(?")) or True
    values = [value for number in range(rows) for value in (number, f"b{number}")]
    ChunkedInsert("INSERT INTO t (a, b)", 2).run(connection.cursor(), values)
    connection.exec_trace = None
    found = connection.execute("SELECT a, b FROM t ORDER BY rowid").fetchall()
    assert found == [(number, f"b{number}") for number in range(rows)]
    assert sum(sizes) == rows
    assert all(size & (size - 1) == 0 for size in sizes), "chunks are powers of two"
    assert len(sizes) <= rows // 256 + 8


@pytest.mark.parametrize("name", ['a"b', "a b", "a'; --", "select", "ä"])
def test_a_quoted_name_is_only_a_name(name):
    connection = apsw.Connection(":memory:")
    connection.execute(f"CREATE TABLE {quoted(name)} (x)")
    assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [(name,)]


@pytest.mark.parametrize("name", FILES)
def test_every_sql_file_says_what_it_is_for(name):
    folder = files("diptych.adapters.sqlite") / "sql"
    text = (folder / f"{name}.sql").read_text("utf-8")
    assert text.startswith("-- ")
    assert name.split("_")[0] in {"alter", "create", "insert", "select", "update", "delete"}
    assert sql(name)
    assert "--" not in sql(name)
