"""A query that waits in vain says what is in the way: a session, a process, a parked key."""

from __future__ import annotations

import asyncio
import os
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from diptych import Aggregate, App, Command, Event, Projection, Query, Reader, ReadModel
from diptych.errors import StaleRead

pytestmark = pytest.mark.anyio


class Knock(Command):
    door: str


class Knocked(Event):
    door: str


class Door(Aggregate, key="door"):
    def knock(self, command: Knock) -> Knocked:
        return Knocked(command.door)


class Knocks(ReadModel, key="door"):
    door: str
    count: int = 0


class AllKnocks(Projection[Knocks]):
    def knocked(self, knocks: Knocks, event: Knocked) -> None:
        knocks.count += 1


class HowMany(Query[Knocks | None]):
    door: str


async def how_many(query: HowMany, knocks: Reader[Knocks]) -> Knocks | None:
    return await knocks.get(query.door)


def doors(url: str) -> App:
    return App("doors", [Door, AllKnocks, how_many], write=url)


async def why_not(app: App, within_s: float, **wanted: object) -> str:
    done = await app.dispatch(Knock("front"))
    with pytest.raises(StaleRead) as said:
        await app.ask(HowMany("front"), after=done.token, within_s=within_s)
    return str(said.value)


async def test_a_session_that_locks_the_checkpoint_is_named_with_its_pid(postgres_url):
    schema = parse_qs(urlsplit(postgres_url).query)["schema"][0]
    async with doors(postgres_url) as app:
        await app.dispatch(Knock("front"))
        await app.settle()
        blocker = await asyncpg.connect(postgres_url.partition("?")[0])
        try:
            pid = await blocker.fetchval("SELECT pg_backend_pid()")
            async with blocker.transaction():
                await blocker.execute(f'SELECT * FROM "{schema}".checkpoints FOR UPDATE')
                why = await why_not(app, 2.5)
                assert str(pid) in why, why
                assert "all_knocks" in why
            done = await app.dispatch(Knock("front"))
            found = await app.ask(HowMany("front"), after=done.token, within_s=10)
            assert found.count == 3  # it went on by itself, and lost nothing
        finally:
            await blocker.close()


async def test_the_process_that_holds_the_lease_is_named(postgres_url):
    async with doors(postgres_url) as worker:
        web = doors(postgres_url)
        await web.open(projections=False)
        try:
            await worker.dispatch(Knock("front"))
            await worker.settle()  # it has taken the lease, and come to position 1
            for runner, task in worker._panels._runners.values():
                task.cancel()  # it holds its leases, and moves nothing any more
                runner._leases.release = _never
                await asyncio.gather(task, return_exceptions=True)
            why = await why_not(web, 0.3)
            assert f"{os.getpid()}@" in why, why
        finally:
            await web.close()


async def _never() -> None:
    """A process that is killed lets go of nothing."""


async def test_nobody_who_runs_it_is_said_to_be_nobody(postgres_url):
    web = doors(postgres_url)
    await web.open(projections=False)
    try:
        assert "no process runs it" in await why_not(web, 0.2)
    finally:
        await web.close()


async def test_many_waiters_of_one_projection_are_all_answered(postgres_url):
    async with doors(postgres_url) as app:

        async def knock_and_look(number: int) -> int:
            done = await app.dispatch(Knock(f"door {number % 7}"))
            found = await app.ask(HowMany(f"door {number % 7}"), after=done.token, within_s=20)
            return found.count

        counts = await asyncio.gather(*(knock_and_look(number) for number in range(300)))
        assert all(count >= 1 for count in counts)
        assert max(counts) == 43
