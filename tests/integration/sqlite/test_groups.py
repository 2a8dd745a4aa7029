"""Appends that commit together: bad members, cancelled ones, closing, busy event loops."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from diptych.adapters.sqlite.event_log import SqliteEventLog
from diptych.adapters.sqlite.read_store import SqliteReadStore
from diptych.errors import StoreError, StoreUnavailable, VersionConflict
from diptych.events.condition import AppendCondition, EventFilter
from diptych.events.log import (
    ANY_VERSION,
    Append,
    Appended,
    CommandRecord,
    EventToStore,
    Snapshot,
    StreamAppend,
)


def add(stream="s", count=1, expected=ANY_VERSION, kind="Added", data=b"{}", **more):
    events = (EventToStore(kind, 1, data, b"{}"),) * count
    return Append((StreamAppend(stream, expected, events),), **more)


class Refusing:
    """A participant that does not want events of the type Unwanted."""

    def __init__(self):
        self.threads = set()

    async def join(self, transaction, head):
        self.threads.add(threading.current_thread().name)
        events = await transaction.read(head - 20, 20)
        if any(event.type == "Unwanted" for event in events):
            raise LookupError("unwanted")


async def together(log, *appends):
    return await asyncio.gather(*map(log.append, appends), return_exceptions=True)


@pytest.fixture(params=["on the loop", "in the thread"])
def where(request, monkeypatch):
    """The same on a fast disk and on a slow one."""
    if request.param == "in the thread":
        monkeypatch.setattr("diptych.adapters.sqlite.writer._INLINE_S", 0)
    else:
        monkeypatch.setattr("diptych.adapters.sqlite.writer._INLINE_S", 100)
    return request.param


async def test_a_member_that_the_database_refuses_fails_alone(log, where):
    not_bytes = add("bad", data="text")
    results = await together(log, *(add(f"s-{n}") for n in range(20)), not_bytes, add("last"))
    assert isinstance(results[20], StoreError)
    assert [result.first for n, result in enumerate(results) if n != 20] == list(range(1, 22))
    with pytest.raises(StoreError):
        await log.append(not_bytes)
    assert await log.head() == 21


async def test_a_member_that_cannot_be_encoded_fails_alone(log, where):
    results = await together(log, add("a"), add("\ud800"), add("b"))
    assert isinstance(results[1], UnicodeEncodeError)
    assert [results[0].first, results[2].first] == [1, 2]


async def test_members_see_their_forerunners(log, where):
    unique = AppendCondition((EventFilter(types=("Unique",)),))
    results = await together(
        log,
        add("a", 2, 0),
        add("a", 1, 2),
        add("a", 1, 2),
        add("b", kind="Unique", condition=unique),
        add("c", kind="Unique", condition=unique),
        add("d", command=CommandRecord("k", b"", b"1")),
        add("d", command=CommandRecord("k", b"", b"2")),
    )
    assert results[:2] == [Appended(1, 2), Appended(3, 1)]
    assert isinstance(results[2], VersionConflict)
    assert results[3] == Appended(4, 1)
    assert results[4].position == 4
    assert results[5] == Appended(5, 1)
    assert results[6].repeated == CommandRecord("k", b"", b"1", 5, 1)
    assert await log.head() == 5


async def test_an_append_without_events_still_writes(log, where):
    record = CommandRecord("k", b"d", b"a")
    appended = await log.append(Append(command=record, snapshots=(Snapshot("s", 3, 1, b"{}"),)))
    assert appended == Appended(0, 0)
    assert await log.command("k") == record
    assert await log.snapshot("s") == Snapshot("s", 3, 1, b"{}")


async def test_a_participant_fails_only_what_it_does_not_want(log, where):
    participant = Refusing()
    log.join(participant)
    appends = [add(f"s-{n}", kind="Unwanted" if n % 7 == 3 else "Added") for n in range(20)]
    results = await together(log, *appends)
    for n, result in enumerate(results):
        assert isinstance(result, LookupError if n % 7 == 3 else Appended)
    assert [event.stream for event in await log.read(0, 100)] == [
        f"s-{n}" for n in range(20) if n % 7 != 3
    ]
    with pytest.raises(LookupError, match="unwanted"):
        await log.append(add(kind="Unwanted"))
    await log.append(add())
    assert (await log.head()) == 18


async def test_a_cancelled_append_happens_and_harms_nobody(log, where):
    tasks = [asyncio.create_task(log.append(add(f"s-{n}"))) for n in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[1], asyncio.CancelledError)
    assert results[2] == Appended(3, 1)
    assert await log.head() == 3


async def test_a_lone_caller_lets_others_have_their_turn_when_its_time_is_up(
    log, where, monkeypatch
):
    monkeypatch.setattr("diptych.adapters.sqlite.writer._KEEP_TURN_S", 0.0)
    turns = 0

    async def count():
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count())
    for _ in range(50):
        await log.append(add())
    counting.cancel()
    assert turns >= 49


async def test_appends_commit_in_the_order_of_submission(log, where):
    sizes = [1, 1, 300, 1, 1, 700, 1]
    for _ in range(3):
        await log.append(add("alone"))
    before = await log.head()
    results = await together(log, *(add(f"s-{n}", count) for n, count in enumerate(sizes)))
    firsts = [result.first for result in results]
    assert firsts == [before + 1 + sum(sizes[:n]) for n in range(len(sizes))]


async def test_closing_finishes_what_was_accepted(path, where):
    log = SqliteEventLog(path)
    await log.open()
    appending = [asyncio.create_task(log.append(add(f"s-{n}"))) for n in range(700)]
    waiting = asyncio.create_task(log.wait(10_000))
    await asyncio.sleep(0)
    await log.close()
    assert all(isinstance(result, Appended) for result in await asyncio.gather(*appending))
    with pytest.raises(StoreUnavailable, match="closed while waiting"):
        await waiting
    with pytest.raises(StoreUnavailable, match="not open"):
        await log.append(add())
    await log.close()
    await log.open()
    assert await log.head() == 700
    await log.close()


async def test_closing_a_log_leaves_the_store_beside_it_open(path):
    log, store = SqliteEventLog(path), SqliteReadStore(path)
    await log.open()
    await store.open([])
    appending = asyncio.create_task(log.append(add()))
    await asyncio.sleep(0)
    await log.close()
    assert appending.done()
    assert await store.select("SELECT count(*) AS events FROM events") == [{"events": 1}]
    await store.close()


def test_a_log_works_on_one_event_loop_after_the_other(path):
    log = SqliteEventLog(path)

    async def use(*, close):
        await log.open()
        await log.append(add())
        if close:
            await log.close()
        return log.identity

    identities = {asyncio.run(use(close=close)) for close in (True, False, False, True)}
    assert len(identities) == 1
    assert not [thread for thread in threading.enumerate() if thread.name == "diptych-sqlite"]

    async def count():
        await log.open()
        head = await log.head()
        await log.close()
        return head

    assert asyncio.run(count()) == 4


async def test_a_busy_event_loop_does_not_starve_the_writer_thread(log, monkeypatch):
    monkeypatch.setattr("diptych.adapters.sqlite.writer._INLINE_S", 0)
    done = False

    async def burn():
        while not done:
            until = time.perf_counter() + 0.001
            while time.perf_counter() < until:
                pass
            await asyncio.sleep(0)

    burning = asyncio.create_task(burn())
    began = time.monotonic()
    for n in range(5):
        await together(log, *(add(f"s-{n}-{k}") for k in range(64)))
    took = time.monotonic() - began
    done = True
    await burning
    assert took < 5, f"five groups took {took:.1f} s: the thread did not get the interpreter"
