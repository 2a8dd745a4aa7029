"""Tables over SQLAlchemy keep the guarantees of their port, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table
from sqlalchemy.ext.asyncio import AsyncSession

from diptych.adapters.postgres.event_log import PostgresEventLog
from diptych.adapters.sqlalchemy import TableOf, engine_for, mapped
from diptych.adapters.sqlalchemy.tables import SqlTables
from diptych.adapters.sqlite.event_log import SqliteEventLog
from diptych.testing.contract.tables import Jar, TablesContract, TablesWithLog

metadata = MetaData()
jars = Table(
    "jars",
    metadata,
    Column("jar_id", String, primary_key=True),
    Column("version", Integer, nullable=False, server_default="0"),
    Column("beans", Integer, nullable=False),
)


class JarTable(TableOf[Jar]):
    table = jars

    async def load(self, session: AsyncSession, key: str) -> Jar | None:
        found = await session.execute(jars.select().where(jars.c.jar_id == key))
        return Jar(found.one().beans)

    async def save(self, session, key, state, events) -> None:
        if await self.load_locked_row(session, key):
            changed = jars.update().where(jars.c.jar_id == key).values(beans=state.beans)
            await session.execute(changed)
        else:
            await session.execute(jars.insert().values(jar_id=key, beans=state.beans))

    async def load_locked_row(self, session, key) -> bool:
        found = await session.execute(jars.select().where(jars.c.jar_id == key))
        return found.first() is not None


async def with_tables(url: str, log, table) -> TablesWithLog:
    engine = engine_for(url)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await engine.dispose()
    return TablesWithLog(SqlTables(url, [table], log), log)


class TestMappedOnSqlite(TablesContract):
    async def make(self):
        url = f"sqlite:///{self.folder}/shop.db"
        return await with_tables(url, SqliteEventLog(url), mapped(Jar, jars))


class TestByHandOnSqlite(TablesContract):
    async def make(self):
        url = f"sqlite:///{self.folder}/shop.db"
        return await with_tables(url, SqliteEventLog(url), JarTable)


class OnPostgres(TablesContract):
    @pytest.fixture(autouse=True)
    def in_schemas_of_its_own(self, postgres_url: str) -> None:
        schema = postgres_url.rpartition("schema=")[2]
        # The log makes its schema when it is opened; the tables of the test go there too.
        self.url = f"{postgres_url}&search_path={schema}"

    async def opened(self, table):
        log = PostgresEventLog(self.url)
        await log.open()
        return await with_tables(self.url, log, table)


class TestMappedOnPostgres(OnPostgres):
    async def make(self):
        return await self.opened(mapped(Jar, jars))


class TestByHandOnPostgres(OnPostgres):
    async def make(self):
        return await self.opened(JarTable)


class TestTheSuite:
    def test_has_tests_of_its_own(self):
        assert [name for name in dir(TablesContract) if name.startswith("test_g")]


def test_a_table_without_a_version_is_refused():
    from diptych.errors import ConfigurationError

    bare = Table(
        "bare", MetaData(), Column("jar_id", String, primary_key=True), Column("beans", Integer)
    )
    with pytest.raises(ConfigurationError, match="has no column 'version'"):
        mapped(Jar, bare)
