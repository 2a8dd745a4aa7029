"""Disks that are full or read-only, files that are locked, too new or something else."""

from __future__ import annotations

import asyncio
import logging

import apsw
import pytest

from diptych.adapters.sqlite.event_log import SqliteEventLog
from diptych.adapters.sqlite.read_store import SqliteReadStore
from diptych.errors import ConfigurationError, SchemaTooNew, StoreError, StoreUnavailable
from diptych.events.log import ANY_VERSION, Append, EventToStore, StreamAppend


def add(stream="s", size=2, expected=ANY_VERSION):
    event = EventToStore("Added", 1, b'"' + b"x" * size + b'"', b"{}")
    return Append((StreamAppend(stream, expected, (event,)),))


async def fill(log):
    for version in range(1000):
        await log.append(add(size=10_000, expected=version))


async def test_f10_a_full_disk_loses_nothing_and_needs_no_restart(small_disk):
    log = SqliteEventLog(small_disk / "log.db")
    await log.open()
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * (256 << 10))
    with pytest.raises(StoreUnavailable, match=r"nothing was written.*(space|full)|full.*nothing"):
        await fill(log)
    written = await log.head()
    assert written > 5
    with pytest.raises(StoreUnavailable):
        await asyncio.gather(*(log.append(add(f"t-{n}", size=300_000)) for n in range(3)))
    ballast.unlink()
    await log.append(add(size=10_000, expected=written))
    assert await log.head() == written + 1
    await log.close()
    again = SqliteEventLog(small_disk / "log.db")
    await again.open()
    assert len(await again.read_stream("s")) == written + 1
    await again.close()


async def test_f10_an_append_too_large_for_the_disk_leaves_its_neighbours(small_disk):
    log = SqliteEventLog(small_disk / "log.db")
    await log.open()
    sizes = [10, 2_000_000, 10, 10]
    results = await asyncio.gather(
        *(log.append(add(f"s-{n}", size)) for n, size in enumerate(sizes)), return_exceptions=True
    )
    assert isinstance(results[1], StoreUnavailable)
    assert [result.first for n, result in enumerate(results) if n != 1] == [1, 2, 3]
    await log.close()


async def test_a_read_only_disk_says_what_is_needed(small_disk, make_read_only):
    log = SqliteEventLog(small_disk / "log.db")
    await log.open()
    await log.close()
    make_read_only(small_disk)
    for name in ("log.db", "new.db"):
        with pytest.raises(StoreUnavailable, match="read and write the file"):
            await SqliteEventLog(small_disk / name).open()


async def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StoreUnavailable, match="folder, which must exist"):
        await SqliteEventLog(tmp_path / "missing" / "log.db").open()


async def test_a_locked_file_is_waited_for(log, other):
    other.execute("BEGIN IMMEDIATE")
    appending = asyncio.create_task(log.append(add()))
    await asyncio.sleep(0.05)
    assert not appending.done()
    assert await log.read(0, 10) == [], "reading goes on meanwhile"
    other.execute("COMMIT")
    assert (await asyncio.wait_for(appending, 5)).first == 1


async def test_f12_a_file_locked_for_too_long_is_an_error_that_says_so(path, other):
    log = SqliteEventLog(f"sqlite:///{path}?busy_timeout_s=0.1")
    await log.open()
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked by another process"):
        await log.append(add())
    results = await asyncio.gather(*(log.append(add()) for _ in range(3)), return_exceptions=True)
    assert {type(result) for result in results} == {StoreUnavailable}
    other.execute("COMMIT")
    await log.append(add())
    await log.close()


@pytest.mark.parametrize("table", ["log", "read_store"])
async def test_a_newer_schema_is_refused(path, other, table):
    async def open_both():
        log, store = SqliteEventLog(path), SqliteReadStore(path)
        try:
            await log.open()
            await store.open([])
        finally:
            await log.close()
            await store.close()

    await open_both()
    other.execute(f"UPDATE {table} SET schema_version = 99")
    with pytest.raises(SchemaTooNew, match="Upgrade diptych") as refused:
        await open_both()
    known = {"log": 1, "read_store": 2}[table]
    assert (refused.value.found, refused.value.known) == (99, known)


async def test_a_file_that_is_no_database_is_refused(path):
    path.write_bytes(b"Dear diary, " * 1000)
    with pytest.raises(StoreError, match="not an SQLite database"):
        await SqliteEventLog(path).open()
    assert path.read_bytes().startswith(b"Dear diary")


@pytest.mark.parametrize("table", ["events", "log", "commands"])
async def test_somebody_elses_tables_are_left_alone(path, other, table):
    other.execute(f"CREATE TABLE {table} (mine)")
    with pytest.raises(ConfigurationError, match="not diptych's"):
        await SqliteEventLog(path).open()


async def test_what_happened_cannot_be_changed_or_removed_by_sql(log, other):
    await log.append(add())
    for statement in ("UPDATE events SET data = x''", "DELETE FROM events"):
        with pytest.raises(apsw.ConstraintError, match="events are never"):
            other.execute(statement)
    shown = other.execute("SELECT position, stream, type, data FROM events_readable").fetchall()
    assert shown == [(1, "s", "Added", '"xx"')]


async def test_one_file_has_one_set_of_options(log, path):
    with pytest.raises(ConfigurationError, match="other options"):
        await SqliteReadStore(f"sqlite:///{path}?synchronous=normal").open([])
    assert await log.head() == 0


async def test_f12_the_write_ahead_log_is_recycled_and_gone_after_close(path):
    log = SqliteEventLog(path)
    await log.open()
    for _ in range(40):
        await asyncio.gather(*(log.append(add(size=20_000)) for _ in range(20)))
    wal = path.with_name("log.db-wal")
    assert wal.stat().st_size < 12 << 20, "checkpoints happen while we write"
    await log.close()
    assert not wal.exists()
    assert path.stat().st_size > 15 << 20


async def test_f12_a_long_reader_that_makes_the_file_grow_is_reported(
    log, other, caplog, monkeypatch
):
    monkeypatch.setattr("diptych.adapters.sqlite.wal._WORRY_PAGES", 2000)
    await log.append(add())
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM events").fetchall()
    with caplog.at_level(logging.WARNING, "diptych.sqlite"):
        for _ in range(40):
            await asyncio.gather(*(log.append(add(size=20_000)) for _ in range(20)))
    other.execute("COMMIT")
    assert "Find the long reader" in caplog.text
    assert caplog.text.count("has grown") < 5


def flip_a_bit(path, column, position):
    """The text of a column of an event becomes one that no UTF-8 has."""
    with apsw.Connection(str(path)) as connection:
        connection.execute("DROP TRIGGER IF EXISTS events_never_change")
        for (trigger,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'events'"
        ).fetchall():
            connection.execute(f'DROP TRIGGER "{trigger}"')
        connection.execute(
            f"UPDATE events SET {column} = CAST(x'41ff' AS TEXT) WHERE position = ?", (position,)
        )
    connection.close()


@pytest.mark.parametrize("column", ["stream", "type"])
async def test_f41_a_text_that_is_no_utf8_is_said_with_its_position(tmp_path, column):
    log = SqliteEventLog(tmp_path / "log.db")
    await log.open()
    for version in range(5):
        await log.append(add(expected=version))
    await log.close()
    flip_a_bit(tmp_path / "log.db", column, 4)
    await log.open()
    assert len(await log.read(0, 3)) == 3
    with pytest.raises(StoreError, match=r"position 4 .*UTF-8"):
        await log.read(1, 10)
    with pytest.raises(StoreError, match=r"position 4 .*UTF-8"):
        await log.read(3, 1)
    assert len(await log.read(4, 10)) == 1
    await log.close()


async def test_f41_own_sql_says_that_a_text_is_no_utf8(tmp_path):
    store = SqliteReadStore(tmp_path / "read.db")
    await store.open([])
    with pytest.raises(StoreError, match="UTF-8"):
        await store.select("SELECT CAST(x'41ff' AS TEXT) AS text")
    await store.close()
