"""F04: thirty-two writers, one stream, the same expected version: one wins, and it is there.
F16: the same command from many at once: one effect, one answer.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter

import pytest
from banking import BANK, Deposit

from diptych import App
from diptych.errors import CommandIdReused, VersionConflict
from diptych.events.log import Append, EventToStore, StreamAppend

WRITERS, VERSIONS = 32, 5


@pytest.fixture
def url(store_url):
    return store_url


def append(version: int, name: str) -> Append:
    event = EventToStore("Counted", 1, json.dumps(name).encode(), b"{}")
    return Append((StreamAppend("counter", version, (event,)),))


async def check_winners(url: str, won: dict[str, int]) -> None:
    """`won`: who was told that they had won which version."""
    async with App("bank", BANK, write=url) as app:
        stored = await app.log.read_stream("counter")
    assert [one.version for one in stored] == list(range(1, VERSIONS + 1))
    assert {json.loads(one.data): one.version for one in stored} == won


@pytest.mark.timeout(120)
async def test_f04_of_writers_in_threads_one_wins_each_version_and_is_there(url):
    """Each thread has an event loop and a log of its own."""
    async with App("bank", BANK, write=url):
        pass
    together = threading.Barrier(WRITERS)
    won: dict[str, int] = {}
    lost: Counter[int] = Counter()
    troubles: list[BaseException] = []

    async def write(number: int) -> None:
        async with App("bank", BANK, write=url) as app:
            for version in range(VERSIONS):
                await asyncio.to_thread(together.wait)
                try:
                    await app.log.append(append(version, f"{number}-{version}"))
                except VersionConflict:
                    lost[version] += 1
                else:
                    won[f"{number}-{version}"] = version + 1

    def run(number: int) -> None:
        try:
            asyncio.run(write(number))
        except BaseException as error:
            troubles.append(error)
            together.abort()
            raise

    threads = [threading.Thread(target=run, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert troubles == []
    assert set(lost.values()) == {WRITERS - 1}
    await check_winners(url, won)


@pytest.mark.timeout(120)
async def test_f04_of_writers_in_processes_one_wins_each_version_and_is_there(url, start):
    async with App("bank", BANK, write=url):
        pass
    processes = [start("race", url, number, 8, VERSIONS) for number in range(4)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    won: dict[str, int] = {}
    for version in range(VERSIONS):
        for process in processes:
            process.stdin.write(f"{version}\n")
            process.stdin.flush()
        winners = [name for process in processes for name in json.loads(process.stdout.readline())]
        assert len(winners) == 1, f"version {version + 1}"
        won[winners[0]] = version + 1
    await check_winners(url, won)


@pytest.mark.timeout(120)
async def test_f16_a_command_that_processes_send_at_once_has_one_effect_and_one_answer(url, start):
    async with App("bank", BANK, write=url) as app:
        processes = [start("same", url, "k1", 5) for _ in range(4)]
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        answers = [one for process in processes for one in json.loads(process.stdout.readline())]
        assert len(answers) == 20
        assert len({token for token, _ in answers}) == 1
        assert sum(not repeated for _, repeated in answers) == 1, "who was first"
        assert await app.log.head() == 1
        with pytest.raises(CommandIdReused):
            await app.dispatch(Deposit("a", 2), id="k1")
        assert await app.log.head() == 1
