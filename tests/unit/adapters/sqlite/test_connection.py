from __future__ import annotations

import apsw
import pytest

from diptych.adapters.sqlite.connection import (
    connect_reading,
    connect_writing,
    refuse_unsafe_sqlite,
)
from diptych.adapters.sqlite.url import Location
from diptych.errors import ConfigurationError


@pytest.mark.parametrize("version", ["3.7.0", "3.45.1", "3.51.2"])
def test_an_sqlite_that_can_corrupt_is_refused(version):
    with pytest.raises(ConfigurationError, match=rf"{version}.*WAL-reset"):
        refuse_unsafe_sqlite(version)


@pytest.mark.parametrize("version", ["3.51.3", "3.52.0", "4.0.0", None])
def test_a_repaired_sqlite_is_accepted(version):
    refuse_unsafe_sqlite(version)


def test_commits_are_durable_unless_chosen_otherwise(tmp_path):
    for chosen, level in (("full", 2), ("normal", 1)):
        connection = connect_writing(Location(str(tmp_path / "x.db"), synchronous=chosen))
        assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
        assert connection.execute("PRAGMA synchronous").fetchall() == [(level,)]
        assert connection.execute("PRAGMA wal_autocheckpoint").fetchall() == [(0,)]
        connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM t",
        "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x",
        "PRAGMA query_only = OFF",
        "ATTACH ':memory:' AS other",
        "BEGIN IMMEDIATE",
        "PRAGMA journal_mode = DELETE",
        "VACUUM INTO '/tmp/stolen.db'",
    ],
)
def test_a_reading_connection_cannot_write(tmp_path, statement):
    location = Location(str(tmp_path / "x.db"))
    writing = connect_writing(location)
    writing.execute("CREATE TABLE t (a); INSERT INTO t VALUES (1)")
    reading = connect_reading(location)
    with pytest.raises((apsw.AuthError, apsw.ReadOnlyError)):
        reading.execute(statement).fetchall()
    assert reading.execute("SELECT a FROM t").fetchall() == [(1,)]
    reading.close()
    writing.close()
