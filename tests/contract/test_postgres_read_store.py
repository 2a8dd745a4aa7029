"""The PostgreSQL adapter keeps the guarantees of a read store, alone and beside its log."""

from __future__ import annotations

import pytest

from diptych.testing.contract.event_log.inline import InlineContract, Pair
from diptych.testing.contract.read_store import ReadStoreContract
from diptych.testing.contract.read_store.viewing import ViewContract, Viewed
from diptych.testing.contract.standings import StandingsContract

pytest.importorskip("asyncpg", reason="needs postgres: asyncpg is not installed")

import asyncpg

from diptych.adapters.postgres.event_log import PostgresEventLog
from diptych.adapters.postgres.read_store import PostgresReadStore


class TestPostgresReadStore(ReadStoreContract):
    @pytest.fixture(autouse=True)
    def address(self, postgres_url):
        self.url = postgres_url

    async def make_store(self):
        return PostgresReadStore(self.url)

    async def reopen(self, store):
        return PostgresReadStore(self.url)


class TestPostgresStandings(StandingsContract):
    @pytest.fixture(autouse=True)
    def address(self, postgres_url):
        self.url = postgres_url

    async def make_store(self):
        return PostgresReadStore(self.url)

    async def reopen(self, store):
        return PostgresReadStore(self.url)


class TestPostgresInline(InlineContract):
    @pytest.fixture(autouse=True)
    def address(self, postgres_url):
        self.url = postgres_url

    async def make_pair(self):
        return Pair(PostgresEventLog(self.url), PostgresReadStore(self.url))


class TestPostgresViews(ViewContract):
    @pytest.fixture(autouse=True)
    def address(self, postgres_url, postgres_schema):
        self.url, self.schema = postgres_url, postgres_schema

    async def make_pair(self):
        return Viewed(PostgresEventLog(self.url), PostgresReadStore(self.url))

    async def execute(self, statement):
        connection = await asyncpg.connect(
            self.url.partition("?")[0], server_settings={"search_path": self.schema}
        )
        await connection.execute(statement)
        await connection.close()
