"""A connection that dies under a session is said in diptych's words; leaving it hides nothing."""

from __future__ import annotations

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from diptych import App, Command, Event
from diptych.adapters.sqlalchemy import Outbox, engine_for
from diptych.errors import StoreUnavailable


class Lose(Command):
    key: str
    asks_again: bool


class Lost(Event, stream="lost-{key}"):
    key: str


@pytest.fixture
def url(postgres_url):
    return f"{postgres_url}&search_path={postgres_url.rpartition('schema=')[2]}"


def losing(url):
    async def lose(command: Lose, session: AsyncSession) -> Lost:
        await kill(url, session)
        if command.asks_again:
            await session.execute(text("SELECT 1"))
        return Lost(command.key)

    return lose


async def kill(url, session):
    process = await session.scalar(text("SELECT pg_backend_pid()"))
    other = await asyncpg.connect(url.partition("?")[0])
    try:
        await other.execute("SELECT pg_terminate_backend($1, 10000)", process)
    finally:
        await other.close()


async def lose_in_a_unit_of_work(outbox, session, url):
    async with outbox.unit_of_work(session) as work:
        await kill(url, session)
        work.record(Lost("a"))


@pytest.mark.parametrize("asks_again", [True, False])
async def test_a_command_whose_connection_died_says_so_and_the_next_has_another(url, asks_again):
    async with App("shop", [losing(url)], write=f"{url}&connections=1") as app:
        for _ in range(3):  # more often than there are connections
            with pytest.raises(StoreUnavailable):
                await app.dispatch(Lose("a", asks_again))
        assert await app.log.head() == 0


async def test_a_unit_of_work_whose_connection_died_says_so(url):
    engine = engine_for(f"{url}&connections=1")
    async with App("shop", [], write=url) as app:
        outbox = Outbox(app.log)
        try:
            for _ in range(3):
                session = AsyncSession(engine)
                with pytest.raises(StoreUnavailable):
                    await lose_in_a_unit_of_work(outbox, session, url)
                await session.close()
        finally:
            await engine.dispose()
        assert await app.log.head() == 0
