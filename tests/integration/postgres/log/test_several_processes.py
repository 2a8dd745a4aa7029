"""Many processes on one log: order, conditions, opening, waking up."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys

import asyncpg
import pytest

from diptych.testing.contract.suite import in_time


async def finished(process):
    """What a process printed."""
    output, _ = await asyncio.to_thread(process.communicate)
    assert process.returncode == 0
    return output


async def listening(log):
    """Wait until the log would be told by another process."""
    statement = "SELECT FROM pg_stat_activity WHERE application_name = $1 AND query LIKE 'LISTEN%'"
    name = f"diptych {log._location.schema} listening"
    async with asyncio.timeout(20):
        while not await log._database.select(statement, name):
            pass


@pytest.fixture
async def long_transaction(postgres):
    """A transaction in another database of the same server, which has written and stays open."""
    elsewhere = postgres.primary.rpartition("/")[0] + "/postgres"
    connection = await asyncpg.connect(elsewhere)
    transaction = connection.transaction()
    await transaction.start()
    await connection.fetchval("SELECT pg_current_xact_id()::text")
    yield
    await transaction.rollback()
    await connection.close()


async def test_f06_a_reader_misses_nothing_and_the_naive_one_does(
    log, other, postgres_url, postgres_schema, start, long_transaction
):
    seed = secrets.token_hex(4)
    sys.stdout.write(f"seed {seed}\n")
    await other.execute(
        f'CREATE TABLE "{postgres_schema}".naive (position bigserial PRIMARY KEY, name text)'
    )
    ended = asyncio.Event()

    async def follow_log():
        seen = []
        while not (ended.is_set() and len(seen) == await log.head()):
            after = seen[-1].position if seen else 0
            seen += await log.read(after, 7)
            await asyncio.sleep(0)
        return seen

    async def follow_naively():
        seen = [0]
        statement = f'SELECT position FROM "{postgres_schema}".naive WHERE position > $1 ORDER BY 1'
        while True:
            last = ended.is_set()
            seen += [row[0] for row in await other.fetch(statement, seen[-1])]
            if last:
                return seen[1:]
            await asyncio.sleep(0)

    readers = asyncio.gather(follow_log(), follow_naively())
    processes = [start("fire", postgres_url, f"p{n}", f"{seed}-{n}") for n in range(4)]
    outputs = await asyncio.gather(*map(finished, processes))
    ended.set()
    seen, naively = await readers

    assert [event.position for event in seen] == list(range(1, len(seen) + 1))
    versions = {}
    for event in seen:
        versions[event.stream] = versions.get(event.stream, 0) + 1
        assert event.version == versions[event.stream]
    acknowledged = [name for output in outputs for name in json.loads(output)]
    read = [json.loads(event.data) for event in seen]
    assert sorted(read) == sorted(acknowledged), "what was acknowledged is what is there, once"
    assert len(read) > 300

    stored = await other.fetchval(f'SELECT count(*) FROM "{postgres_schema}".naive')
    assert len(naively) < stored, "the naive reader missed nothing: was there any concurrency?"


async def test_one_of_several_processes_takes_a_name(log, postgres_url, start):
    names = [f"n{number}" for number in range(25)]
    processes = [start("claim", postgres_url, f"p{n}", ",".join(names)) for n in range(4)]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    outputs = await asyncio.gather(*map(finished, processes))
    got = sorted(name for output in outputs for name in json.loads(output))
    assert got == sorted(names), "every name is taken by one"
    assert await log.head() == len(names)


async def test_ten_processes_may_open_a_new_log_at_once(postgres_url, start):
    processes = [start("open_only", postgres_url) for _ in range(10)]
    names = await asyncio.gather(*map(finished, processes))
    assert len(set(names)) == 1


async def test_an_append_by_another_process_wakes_by_being_told(log, postgres_url, start):
    # Nobody looks at the head meanwhile: what wakes is the word of the other process.
    log._watch._read_head = lambda: asyncio.sleep(0, 0)
    waiting = asyncio.create_task(log.wait(0))
    await listening(log)
    await finished(start("add", postgres_url, "a", 3))
    assert await asyncio.wait_for(waiting, 20) in (1, 2, 3)


async def test_a_word_that_was_lost_is_made_up_for_by_a_look(log, postgres_url, start, other):
    waiting = asyncio.create_task(log.wait(0))
    await listening(log)
    pid = log._watch._connection.get_server_pid()
    await other.execute("SELECT pg_terminate_backend($1)", pid)
    await finished(start("add", postgres_url, "a", 1))
    assert await in_time(waiting, 20, "a look at the head") == 1
