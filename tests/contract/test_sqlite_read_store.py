"""The SQLite adapter keeps the guarantees of a read store, alone and beside its log."""

from __future__ import annotations

import apsw

from diptych.adapters.sqlite.event_log import SqliteEventLog
from diptych.adapters.sqlite.read_store import SqliteReadStore
from diptych.testing.contract.event_log.inline import InlineContract, Pair
from diptych.testing.contract.read_store import ReadStoreContract
from diptych.testing.contract.read_store.viewing import ViewContract, Viewed
from diptych.testing.contract.standings import StandingsContract


class TestSqliteReadStore(ReadStoreContract):
    async def make_store(self):
        return SqliteReadStore(self.folder / "rows.db")

    async def reopen(self, store):
        return SqliteReadStore(self.folder / "rows.db")


class TestSqliteStandings(StandingsContract):
    async def make_store(self):
        return SqliteReadStore(self.folder / "rows.db")

    async def reopen(self, store):
        return SqliteReadStore(self.folder / "rows.db")


class TestSqliteInline(InlineContract):
    async def make_pair(self):
        file = self.folder / "both.db"
        return Pair(SqliteEventLog(file), SqliteReadStore(file))


class TestSqliteViews(ViewContract):
    async def make_pair(self):
        file = self.folder / "both.db"
        return Viewed(SqliteEventLog(file), SqliteReadStore(file))

    async def execute(self, statement):
        connection = apsw.Connection(str(self.folder / "both.db"))
        connection.execute(statement)
        connection.close()
