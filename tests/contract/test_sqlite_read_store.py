"""The SQLite adapter keeps the guarantees of a read store, alone and beside its log."""

from __future__ import annotations

from diptych.adapters.sqlite.event_log import SqliteEventLog
from diptych.adapters.sqlite.read_store import SqliteReadStore
from diptych.testing.contract.event_log.inline import InlineContract, Pair
from diptych.testing.contract.read_store import ReadStoreContract


class TestSqliteReadStore(ReadStoreContract):
    async def make_store(self):
        return SqliteReadStore(self.folder / "rows.db")

    async def reopen(self, store):
        return SqliteReadStore(self.folder / "rows.db")


class TestSqliteInline(InlineContract):
    async def make_pair(self):
        file = self.folder / "both.db"
        return Pair(SqliteEventLog(file), SqliteReadStore(file))
