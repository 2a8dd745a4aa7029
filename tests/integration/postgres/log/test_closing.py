"""A log that is closed lets nobody wait for ever."""

from __future__ import annotations

import asyncio

import pytest

from diptych.adapters.postgres import event_log
from diptych.adapters.postgres.event_log import PostgresEventLog
from diptych.errors import StoreUnavailable
from diptych.events.condition import AppendCondition, EventFilter
from diptych.events.log import Append, EventToStore, StreamAppend


async def test_an_append_that_comes_to_the_writer_after_it_has_ended_is_refused(
    postgres_url, monkeypatch
):
    looking, closed = asyncio.Event(), asyncio.Event()

    async def look_slowly(append, reader):
        looking.set()
        await closed.wait()
        return append

    monkeypatch.setattr(event_log, "look_ahead", look_slowly)
    log = PostgresEventLog(postgres_url)
    await log.open()
    condition = AppendCondition((EventFilter(("Other",)),), 0)
    event = EventToStore("Came", 1, b"{}", b"{}", ())
    appending = asyncio.create_task(
        log.append(Append((StreamAppend("a", 0, (event,)),), condition))
    )
    await looking.wait()
    await log.close()
    closed.set()
    done, _ = await asyncio.wait([appending], timeout=10)
    appending.cancel()
    assert done
    with pytest.raises(StoreUnavailable, match="nothing was written"):
        await appending


@pytest.mark.parametrize("turns", range(8))
async def test_a_read_in_flight_ends_with_an_answer_or_a_word_about_closing(postgres_url, turns):
    log = PostgresEventLog(postgres_url)
    await log.open()
    reading = [asyncio.create_task(log.head()) for _ in range(64)]
    for _ in range(turns):
        await asyncio.sleep(0)
    await log.close()
    for outcome in await asyncio.gather(*reading, return_exceptions=True):
        assert outcome == 0 or isinstance(outcome, StoreUnavailable), repr(outcome)
