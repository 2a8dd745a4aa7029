"""The SQLite adapter keeps the guarantees of an event log."""

from __future__ import annotations

from contextlib import asynccontextmanager

import apsw

from diptych.adapters.sqlite.event_log import SqliteEventLog
from diptych.testing.contract.event_log import EventLogContract


class TestSqliteEventLog(EventLogContract):
    async def make_log(self):
        return SqliteEventLog(self.folder / "log.db")

    async def reopen(self, log):
        return SqliteEventLog(self.folder / "log.db")

    @asynccontextmanager
    async def transaction(self, log):
        connection = apsw.Connection(str(self.folder / "log.db"))
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()
