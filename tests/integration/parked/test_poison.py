"""F31: an event that cannot be folded waits with its key, and nobody else does."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from parked_workers import ABORTS, EXITS, HANGS, app_of
from poison import (
    BAD,
    STRANGE,
    GetHistory,
    GetLatest,
    Histories,
    History,
    Lines,
    Moved,
    Noted,
    lanes_of,
    note,
    numbers_of,
    record,
    to_store,
)

from diptych import App
from diptych.errors import StaleRead
from diptych.events.token import Token

MOST_DEATHS = 8
"""Batches of 1,000, 125, 15, then one; and twice over the one event."""

NUL = Noted("nul", 4, "\x00")


async def came_to_the_head(app: App, projection: type = Histories) -> None:
    source = app.sources[projection]
    found = await app._freshness.wait(source, await app.log.head(), 10)
    assert found is not None, await app._freshness.why(source)


async def poisoned(app: App) -> None:
    """Eight events that go well, between five of different troubles."""
    BAD.add(2)
    unread = to_store(Noted("u", 1))._replace(data=b'{"account_id":"u","number":"x"}')
    await record(app, "Account-a", Noted("a", 1), Noted("a", 2), Noted("a", 3))
    await record(app, "Account-s", Noted("s", 1), STRANGE, Noted("s", 3))
    await record(app, "Account-u", unread, Noted("u", 5), Noted("u", 6))
    await record(app, "Transfer-1", Moved("m", "n", 2), Moved("n", "m", 3))
    await note(app, ("b", 1), ("a", 4), ("b", 7), ("b", 3))


LANES = {
    "a": [(2, "failed"), (3, "follows"), (13, "follows")],
    "Account-s": [(5, "failed"), (6, "follows")],
    "Account-u": [(7, "failed"), (8, "follows"), (9, "follows")],
    "n": [(10, "failed"), (11, "follows")],
}
ROWS = {"a": [1], "s": [1], "u": None, "m": [2, 3], "n": None, "b": [1, 7, 3]}


async def test_f31_every_trouble_parks_its_own_key_and_siblings_are_folded_once(url):
    async with app_of(url) as app:
        await poisoned(app)
        await came_to_the_head(app)
        assert await lanes_of(app) == LANES
        assert {key: await numbers_of(app, key) for key in ROWS} == ROWS
        assert (await app.verify()).ok
    async with app_of(url) as app:  # and it is all there after a restart
        assert await lanes_of(app) == LANES
        await note(app, ("a", 5), ("b", 4))
        await came_to_the_head(app)
        assert (await lanes_of(app))["a"] == [*LANES["a"], (16, "follows")]
        assert await numbers_of(app, "b") == [1, 7, 3, 4]
        BAD.clear()
        parked = app.parked
        done = {one.key: (one.folded, one.left) for one in await parked.retry()}
        assert done == {"a": (4, 0), "n": (2, 0), "Account-s": (0, 2), "Account-u": (0, 3)}
        for key, position in (("Account-s", 5), ("Account-u", 7)):
            skipped = await parked.skip("histories", key, position, reason="garbage", actor="ann")
            assert skipped.followers.left == 0
        await app.settle()
        expected = {"a": [1, 2, 3, 4, 5], "s": [1, 3], "u": [5, 6], "n": [2, 3]}
        assert {key: await numbers_of(app, key) for key in expected} == expected
        assert (await app.verify()).ok


async def test_f31_own_sql_parks_the_stream_and_each_line_is_there_once(url):
    async with app_of(url, "lines") as app:
        BAD.add(2)
        await note(app, ("a", 1), ("a", 2), ("b", 1), ("a", 3))
        await came_to_the_head(app, Lines)
        assert await lanes_of(app, Lines) == {"Account-a": [(2, "failed"), (4, "follows")]}
        BAD.clear()
        await app.parked.retry()
        lines = "SELECT account_id, number FROM lines ORDER BY account_id, number"
        found = await app.sources[Lines].store.select(lines)
        assert [(one["account_id"], one["number"]) for one in found] == [
            ("a", 1),
            ("a", 2),
            ("a", 3),
            ("b", 1),
        ]
        await app.settle()


async def test_f31_a_row_that_the_store_cannot_keep_is_found_among_its_siblings(postgres_url):
    async with app_of(postgres_url) as app:
        await app.close()
        await app.open(projections=False)
        for number in range(40):
            await note(app, (f"k{number % 7}", number))
            if number == 20:
                await record(app, "Account-nul", NUL, Noted("nul", 5))
    async with app_of(postgres_url) as app:
        await came_to_the_head(app)
        assert await lanes_of(app) == {"nul": [(22, "failed"), (23, "follows")]}
        for key in range(7):
            assert await numbers_of(app, f"k{key}") == list(range(key, 40, 7))
        (done,) = await app.parked.retry()
        assert (done.folded, done.left, done.failed_at) == (0, 2, 22)
        (waiting,) = await app.parked.entries("histories")
        assert waiting.attempts == 2
        await app.parked.skip("histories", "nul", 22, reason="no text", actor="ann")
        assert await numbers_of(app, "nul") == [5]


async def test_a_token_of_a_parked_key_is_refused_and_every_other_read_is_answered(url):
    async with app_of(url) as app:
        BAD.add(2)
        await note(app, ("a", 1), ("a", 2), ("b", 7))
        token = Token(app.log.identity, await app.log.head())
        of_b = Token(app.log.identity, await app.log.head(), "Account-b")
        with pytest.raises(StaleRead, match="'a' is parked since position 2") as refused:
            await app.ask(GetHistory("a"), after=token)
        assert (refused.value.projection, refused.value.reached) == ("histories", 1)
        assert await app.ask(GetHistory("b"), after=token) == History("b", [7], 7)
        with pytest.raises(StaleRead, match="lacks 1 of the events"):
            await app.ask(GetLatest(), after=token)
        assert len(await app.ask(GetLatest(), after=of_b)) == 2
        assert await app.ask(GetHistory("a"), after=token, on_stale="stale") == History("a", [1], 1)
        with pytest.raises(StaleRead):
            await app.ask(GetHistory("a"), consistency="write_model")
        # Without a token it is answered, and says what it lacks.
        answer = await app.answer(GetHistory("a"))
        assert answer.value == History("a", [1], 1)
        assert [(one.key, one.position) for one in answer.parked] == [("a", 2)]
        assert answer.positions == {"histories": 3}
        assert (await app.answer(GetHistory("b"))).parked == ()
        assert [one.key for one in (await app.answer(GetLatest())).parked] == ["a"]


@pytest.mark.parametrize("deadly", [ABORTS, EXITS])
@pytest.mark.parametrize("projection", ["histories", "lines"])
async def test_f31_an_event_that_kills_the_process_is_parked_after_some_restarts(
    deadly, projection, url, start
):
    kind = {"histories": Histories, "lines": Lines}[projection]
    app = await app_of(url, projection).open(projections=False)
    for number in range(60):
        await note(app, (f"k{number % 5}", number))
        if number == 30:
            await note(app, ("x", 1), ("x", deadly), ("x", 2))
    deaths = 0
    while (process := start("run", url, projection)).stdout.readline() != "there\n":
        process.wait(timeout=10)
        deaths += 1
        assert deaths < 20, "it is never parked"
    print(f"parked after {deaths} deaths")  # noqa: T201
    lane = "x" if projection == "histories" else "Account-x"
    assert await lanes_of(app, kind) == {lane: [(33, "failed"), (34, "follows")]}
    (waiting,) = await app.parked.entries(projection)
    assert "each of the 2 times it was folded alone" in waiting.error
    assert deaths <= MOST_DEATHS
    if projection == "histories":
        assert await numbers_of(app, "x") == [1]
        for key in range(5):
            assert await numbers_of(app, f"k{key}") == list(range(key, 60, 5))
    else:
        found = await app.sources[Lines].store.select("SELECT number FROM lines ORDER BY number")
        assert len(found) == 61
    await app.close()


async def test_f31_an_event_that_hangs_is_parked_when_others_have_taken_over(tmp_path, start):
    url = f"sqlite:///{tmp_path}/poisoned.db"
    app = await app_of(url).open(projections=False)
    await note(app, ("x", 1), ("x", HANGS), ("x", 2), ("y", 1))
    hung = 0
    async with asyncio.timeout(50):
        while start("run", url, "histories"):
            if await app._freshness.wait(app.sources[Histories], 4, 3.5):
                break
            hung += 1  # and it stays alive: the next one has to ask in vain, and take over
    print(f"parked after {hung} that hung")  # noqa: T201
    assert await lanes_of(app) == {"x": [(2, "failed"), (3, "follows")]}
    assert await numbers_of(app, "y") == [1]
    await app.close()


def answered(process: Any) -> list[list[Any]]:
    said: list[list[Any]] = json.loads(process.stdout.readline())
    return said


async def test_two_operators_retry_the_same_keys_at_once_and_every_event_is_folded_once(url, start):
    app = await app_of(url).open(projections=True)
    BAD.add(2)
    for number in range(1, 6):
        await note(app, *((f"k{key}", number) for key in range(30)))
    await came_to_the_head(app)
    assert len(await lanes_of(app)) == 30
    BAD.clear()
    operators = [start("retry", url, "histories", "", "never", 0) for _ in range(2)]
    for one in operators:
        assert one.stdout.readline() == "ready\n"
    for one in operators:
        one.stdin.write("go\n")
        one.stdin.flush()
    writing = [asyncio.to_thread(answered, one) for one in operators]
    said = await asyncio.gather(*writing, note(app, *((f"k{key}", 6) for key in range(30))))
    assert sum(folded for done in said[:2] for _, folded, _ in done) >= 30 * 4
    await app.parked.retry()  # what came while they were at it
    await app.settle()
    for key in range(30):
        assert await numbers_of(app, f"k{key}") == [1, 2, 3, 4, 5, 6]
    await app.close()


@pytest.mark.parametrize("kill", ["before", "after"])
@pytest.mark.parametrize("projection", ["histories", "lines"])
async def test_kill_9_in_the_middle_of_a_retry_loses_nothing_and_repeats_nothing(
    kill, projection, url, start
):
    kind = {"histories": Histories, "lines": Lines}[projection]
    app = await app_of(url, projection).open()
    BAD.add(2)
    for number in range(1, 5):
        await note(app, *((f"k{key}", number) for key in range(3)))
    await came_to_the_head(app, kind)
    BAD.clear()
    # Streams are written one by one: it dies at the second.
    nth = 2 if projection == "lines" else 1
    process = start("retry", url, projection, "", kill, nth)
    assert process.stdout.readline() == "ready\n"
    process.communicate("go\n", timeout=20)
    assert process.returncode == -9
    await app.parked.retry()
    await app.settle()
    if projection == "histories":
        for key in range(3):
            assert await numbers_of(app, f"k{key}") == [1, 2, 3, 4]
    else:
        found = await app.sources[Lines].store.select("SELECT account_id, number FROM lines")
        lines = sorted((one["account_id"], one["number"]) for one in found)
        assert lines == [(f"k{key}", number) for key in range(3) for number in range(1, 5)]
    await app.close()


async def test_retries_while_the_runner_and_writers_work_end_where_a_plain_fold_would(url):
    async with app_of(url) as app:
        BAD.update({5, 30})

        async def write(account: str) -> None:
            for number in range(60):
                await note(app, (account, number))

        async def mend() -> None:
            for turn in range(6):
                await asyncio.sleep(0)
                if turn == 3:
                    BAD.discard(5)
                await app.parked.retry()

        await asyncio.gather(*(write(f"k{key}") for key in range(8)), mend(), mend())
        BAD.clear()
        await came_to_the_head(app)
        await app.parked.retry()
        await app.settle()
        for key in range(8):
            assert await numbers_of(app, f"k{key}") == list(range(60))
        assert (await app.verify()).ok
