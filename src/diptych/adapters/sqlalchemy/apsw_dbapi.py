"""apsw as SQLAlchemy wants a driver: a small module of the Python database API (PEP 249).

Python's own `sqlite3` brings a second copy of SQLite, and two copies in one process do not see each
other's locks on a file: that can corrupt it. So SQLAlchemy has to use the copy that diptych uses.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import apsw

from diptych.adapters.sqlalchemy.apsw_errors import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    translating,
)

__all__ = ["ApswConnection", "ApswCursor", "ApswModule", "Waiting"]

_FIRST_SAFE = (3, 51, 3)


class Waiting(NamedTuple):
    """How to wait: `sleep_s` while a file is locked, `be_awaited` once per statement.

    SQLAlchemy refuses an asynchronous statement in which nothing was awaited, because it takes the
    driver for a blocking one.
    """

    sleep_s: Callable[[float], Any] = time.sleep
    be_awaited: Callable[[], Any] = bool


class ApswModule:
    """What SQLAlchemy takes for a driver's module."""

    apilevel = "2.0"
    threadsafety = 1
    paramstyle = "qmark"
    sqlite_version = apsw.sqlite_lib_version()
    sqlite_version_info = tuple(int(part) for part in sqlite_version.split("."))
    Error = Error
    InterfaceError = InterfaceError
    DatabaseError = DatabaseError
    DataError = DataError
    IntegrityError = IntegrityError
    InternalError = InternalError
    NotSupportedError = NotSupportedError
    OperationalError = OperationalError
    ProgrammingError = ProgrammingError
    Binary = bytes

    def __init__(self, waiting: Waiting | None = None) -> None:
        self._waiting = waiting or Waiting()

    def connect(
        self, path: str, *, synchronous: str = "full", busy_timeout_s: float = 30.0
    ) -> ApswConnection:
        """A connection in WAL mode with foreign keys on.

        Raises NotSupportedError for a SQLite that can corrupt a database, and OperationalError.
        """
        if (3, 7, 0) <= self.sqlite_version_info < _FIRST_SAFE:
            raise NotSupportedError(
                f"this SQLite is {self.sqlite_version}; versions 3.7.0 to 3.51.2 can corrupt a "
                "database in WAL mode. Install a newer apsw: pip install --upgrade apsw"
            )
        with translating():
            driver = apsw.Connection(path, statementcachesize=200)
            made = ApswConnection(driver, busy_timeout_s, self._waiting)
            try:
                made.prepare(synchronous)
            except BaseException:
                made.close()
                raise
        return made


class ApswConnection:
    """A connection; `driver` is that of apsw.

    Locks are never waited for inside SQLite, where the event loop would stand still, but by asking
    again after a short sleep. `begin_word` says how a transaction begins: IMMEDIATE takes the write
    lock at once, so that nobody's transaction fails half-way because another one wrote first;
    DEFERRED is for those who only read; "" leaves every statement alone.
    """

    begin_word = "IMMEDIATE"

    def __init__(self, driver: apsw.Connection, busy_timeout_s: float, waiting: Waiting) -> None:
        self.driver = driver
        self.waiting = waiting
        self._busy_timeout_s = busy_timeout_s

    def prepare(self, synchronous: str) -> None:
        """Set what every connection of ours has set."""
        for pragma in (
            "busy_timeout = 0",
            "journal_mode = WAL",
            f"synchronous = {synchronous}",
            "foreign_keys = ON",
            f"cache_size = {-16 << 10}",
        ):
            self.patiently(self.driver.execute, f"PRAGMA {pragma}").fetchall()

    def cursor(self, **_: Any) -> ApswCursor:
        """A new one; its rows are read at once, so it never keeps an old state in use."""
        with translating():
            return ApswCursor(self, self.driver.cursor())

    def begin(self) -> None:
        """Begin a transaction, waiting for the write lock if it is to write."""
        if self.begin_word:
            with translating():
                self.patiently(self.driver.execute, f"BEGIN {self.begin_word}")

    def commit(self) -> None:
        """Commit, if there is a transaction."""
        with translating():
            if self.driver.in_transaction:
                # Also a commit of a DEFERRED transaction may meet somebody who checkpoints.
                self.patiently(self.driver.execute, "COMMIT")

    def rollback(self) -> None:
        """Roll back, if there is a transaction; some errors have done so already."""
        with translating():
            if self.driver.in_transaction:
                self.driver.execute("ROLLBACK")

    def close(self) -> None:
        """Close; what was not committed is gone."""
        self.driver.close()

    def patiently(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call, again and again while the file is locked; then raise BusyError."""
        until, pause_s = None, 0.0002
        while True:
            try:
                return call(*arguments)
            except apsw.BusyError as error:
                now = time.monotonic()
                until = until or now + self._busy_timeout_s
                if now >= until or _has_an_old_state(error):
                    raise
                self.waiting.sleep_s(pause_s)
                pause_s = min(pause_s * 1.5, 0.005)


class ApswCursor:
    """Statements and their rows."""

    arraysize = 1
    lastrowid: int | None = None
    rowcount = -1
    description: Sequence[Any] | None = None

    def __init__(self, connection: ApswConnection, driver: apsw.Cursor) -> None:
        self._connection = connection
        self._driver = driver
        self._rows: list[Any] = []
        self._at = 0
        self._writes = False
        # Columns are known before the first step only: a SELECT without rows has none afterwards.
        driver.exec_trace = self._about_to_run

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> ApswCursor:
        """Run a statement to its end, waiting while the file is locked."""
        self._connection.waiting.be_awaited()
        with translating():
            self._run(statement, parameters)
        return self

    def executemany(self, statement: str, several: Iterable[Sequence[Any]]) -> ApswCursor:
        """Run a statement once for each of several parameters; `rowcount` is for all of them."""
        self._connection.waiting.be_awaited()
        changed = 0
        with translating():
            for parameters in several:
                self._run(statement, parameters)
                changed += max(self.rowcount, 0)
        self.rowcount = changed
        return self

    def fetchone(self) -> Any:
        """The next row; None after the last."""
        if self._at >= len(self._rows):
            return None
        self._at += 1
        return self._rows[self._at - 1]

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """The next rows."""
        begin = self._at
        self._at = min(begin + (size or self.arraysize), len(self._rows))
        return self._rows[begin : self._at]

    def fetchall(self) -> list[Any]:
        """The rows that are left."""
        begin, self._at = self._at, len(self._rows)
        return self._rows[begin:]

    def setinputsizes(self, *_: Any) -> None:
        """Nothing to do."""

    def setoutputsize(self, *_: Any) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Forget the rows."""
        self._rows = []
        self._driver.close()

    async def _async_soft_close(self) -> None:
        """SQLAlchemy asks this of asynchronous drivers; the rows were read long ago."""

    def _run(self, statement: str, parameters: Sequence[Any]) -> None:
        self.description, self._at = None, 0
        driver = self._connection.driver
        self._rows = self._connection.patiently(self._all_rows, statement, parameters)
        self.rowcount = driver.changes() if self._writes else -1
        self.lastrowid = driver.last_insert_rowid()

    def _all_rows(self, statement: str, parameters: Sequence[Any]) -> list[Any]:
        rows: list[Any] = self._driver.execute(statement, parameters).fetchall()
        return rows

    def _about_to_run(self, driver: apsw.Cursor, _statement: str, _parameters: Any) -> bool:
        columns = driver.get_description()
        self._writes = not driver.is_readonly
        self.description = [(*one[:2], None, None, None, None, None) for one in columns] or None
        return True


def _has_an_old_state(error: apsw.BusyError) -> bool:
    # Somebody wrote after this transaction began to read: waiting changes nothing.
    return getattr(error, "extendedresult", 0) == apsw.SQLITE_BUSY_SNAPSHOT
