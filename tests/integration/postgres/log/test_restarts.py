"""A server that dies under its clients: nothing acknowledged is lost, nothing happens twice."""

from __future__ import annotations

import asyncio

import pytest

from diptych.adapters.postgres.event_log import PostgresEventLog
from diptych.errors import OutcomeUnknown, StoreUnavailable
from diptych.events.log import Append
from diptych.testing.contract.event_log.words import assert_dense, command, everything, fact, to
from services.postgres import PrivatePostgres

CLIENTS, RESTARTS = 20, 4


@pytest.fixture
def server():
    with PrivatePostgres() as server:
        yield server


@pytest.mark.timeout(180)
async def test_f02_four_immediate_restarts_under_twenty_clients(server):
    log = PostgresEventLog(server.url + "?timeout_s=10")
    await log.open()
    acknowledged, unknown, refused = set(), set(), set()
    stopping, progress = asyncio.Event(), asyncio.Condition()

    async def more_acknowledged():
        wanted = len(acknowledged) + 200
        async with progress:
            await progress.wait_for(lambda: len(acknowledged) >= wanted)

    async def client(number):
        turn = 0
        while not stopping.is_set():
            turn += 1
            name = f"{number}-{turn}"
            append = Append((to(f"c-{number}", fact(name)),), command=command(name))
            try:
                await log.append(append)
                acknowledged.add(name)
                async with progress:
                    progress.notify_all()
            except OutcomeUnknown as error:
                unknown.add(error.command_id)
            except StoreUnavailable:
                refused.add(name)
                await asyncio.sleep(0.01)

    clients = [asyncio.create_task(client(number)) for number in range(CLIENTS)]
    for _ in range(RESTARTS):
        await more_acknowledged()
        await asyncio.to_thread(server.restart_immediately)
    await more_acknowledged()
    stopping.set()
    await asyncio.gather(*clients)

    events = await everything(log)
    assert_dense(events)
    stored = [event.data.decode().split('"')[3] for event in events]
    assert len(stored) == len(set(stored)), "something happened twice"
    assert acknowledged <= set(stored), "something that was acknowledged is gone"
    assert not refused & set(stored), "something happened that was said not to have"
    assert set(stored) <= acknowledged | unknown
    for name in unknown:
        number = name.partition("-")[0]
        append = Append((to(f"c-{number}", fact(name)),), command=command(name))
        answer = await log.append(append)
        assert (answer.repeated is not None) == (name in stored), "the id does not tell"
    assert len(await everything(log)) == len(set(stored) | unknown)
    await log.close()


async def test_a_server_that_is_gone_is_said_and_found_again(server):
    log = PostgresEventLog(server.url + "?timeout_s=5")
    await log.open()
    await log.append(Append((to("a", fact(1)),)))
    waiting = asyncio.create_task(log.wait(1))
    await asyncio.to_thread(server.stop)
    with pytest.raises((StoreUnavailable, OutcomeUnknown)):
        await log.append(Append((to("a", fact(2)),)))
    with pytest.raises(StoreUnavailable, match=r"nothing was written\. Check that it runs"):
        await log.append(Append((to("a", fact(2)),)))
    with pytest.raises(StoreUnavailable):
        await log.read(0, 10)
    await asyncio.to_thread(server.start)
    assert len(await log.read(0, 10)) == 1
    assert (await log.append(Append((to("a", fact(2)),)))).first == 2
    assert await asyncio.wait_for(waiting, 20) == 2
    await log.close()
