"""The SQLite file of events that the floors write and read.

The table is the one that diptych uses, so a floor and diptych do the same work on the same bytes.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import apsw
import msgspec

from benchmarks.events import DATA, META, RECORDED_AT, ItemAdded
from benchmarks.order_lines import NOTE, order_lines

TABLE = """
CREATE TABLE IF NOT EXISTS events (
    position INTEGER PRIMARY KEY,
    stream TEXT NOT NULL,
    version INTEGER NOT NULL,
    type TEXT NOT NULL,
    schema INTEGER NOT NULL,
    data BLOB NOT NULL,
    meta BLOB NOT NULL,
    recorded_at INTEGER NOT NULL,
    UNIQUE (stream, version)
)
"""
INSERT = (
    "INSERT INTO events (stream, version, type, schema, data, meta, recorded_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
READ_ALL = (
    "SELECT position, stream, version, type, data FROM events"
    " WHERE position > ? ORDER BY position LIMIT ?"
)
READ_STREAM = "SELECT version, type, data FROM events WHERE stream = ? ORDER BY version"
Row: TypeAlias = tuple[str, int, str, int, bytes, bytes, int]


def item_added(stream: str, version: int) -> Row:
    """Make the row of one event, encoded beforehand: a floor spends nothing on Python."""
    return (stream, version, "ItemAdded", 1, DATA, META, RECORDED_AT)


def open_apsw(path: Path) -> apsw.Connection:
    """Open the file through apsw: WAL, and every commit reaches the disk."""
    db = apsw.Connection(str(path))
    db.set_busy_timeout(5_000)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(TABLE)
    return db


def open_stdlib(path: Path) -> sqlite3.Connection:
    """Open the file through the standard library, with the same durability, any thread."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(TABLE)
    return db


def fill(path: Path, count: int, keys: int) -> None:
    """Write `count` events on `keys` articles, fast: nobody waits for these to be durable."""
    encode = msgspec.json.Encoder().encode
    db = apsw.Connection(str(path))
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = OFF")
    db.execute("PRAGMA cache_size = -500000")
    db.execute(TABLE)

    def rows() -> Iterator[Row]:
        for line in order_lines(count, keys):
            data = encode(ItemAdded(line.sku, line.qty, line.price, NOTE))
            yield (line.cart, line.version, "ItemAdded", 1, data, META, RECORDED_AT)

    with db:
        db.executemany(INSERT, rows())
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
