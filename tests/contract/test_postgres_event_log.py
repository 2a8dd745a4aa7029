"""The PostgreSQL adapter keeps the guarantees of an event log."""

from __future__ import annotations

from contextlib import asynccontextmanager

import asyncpg
import pytest

from diptych.adapters.postgres.event_log import PostgresEventLog
from diptych.testing.contract.event_log import EventLogContract


class TestPostgresEventLog(EventLogContract):
    @pytest.fixture(autouse=True)
    def schema_of_its_own(self, postgres_url):
        self.url = postgres_url

    async def make_log(self):
        return PostgresEventLog(self.url)

    async def reopen(self, log):
        return PostgresEventLog(self.url)

    @asynccontextmanager
    async def transaction(self, log):
        connection = await asyncpg.connect(self.url.partition("?")[0])
        try:
            async with connection.transaction():
                yield connection
        finally:
            await connection.close()
