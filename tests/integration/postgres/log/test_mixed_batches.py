"""Appends of different shapes that share a batch are told apart."""

from __future__ import annotations

import asyncio

import pytest

from diptych.errors import VersionConflict
from diptych.events.log import Append, CommandRecord, StreamAppend
from diptych.testing.contract.event_log.words import add, fact


def recorded(name: str) -> Append:
    """What a rejection leaves: the record of a command, and no event."""
    return Append(command=CommandRecord(name, b"d" * 16, b"{}"))


@pytest.mark.parametrize("stale", [(1, 9), (9, 1), (9, 9)])
async def test_a_record_alone_beside_an_append_to_two_streams_of_which_one_is_stale(log, stale):
    await log.append(add("a", fact(1)))
    await log.append(add("b", fact(1)))
    both = Append(
        (StreamAppend("a", stale[0], (fact(2),)), StreamAppend("b", stale[1], (fact(2),)))
    )
    # The first one is under way while the other two meet in the next batch.
    appends = [add("c", fact(1)), recorded("no"), both]
    _, rejection, refusal = await asyncio.gather(*map(log.append, appends), return_exceptions=True)
    assert isinstance(refusal, VersionConflict), refusal
    assert rejection.events == 0
    assert await log.command("no") is not None
    assert [len(await log.read_stream(one)) for one in "ab"] == [1, 1], "half an append"
