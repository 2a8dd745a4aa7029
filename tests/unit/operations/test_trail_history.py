"""Who did what, when and why."""

from __future__ import annotations

from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from banking import BANK, Deposit, Deposited, Transfer, Withdraw, Withdrawn

from diptych import App
from diptych.errors import ConfigurationError, UnknownMessageType
from diptych.events.log import Append, EventToStore, StreamAppend
from diptych.messages.envelope import Metadata
from diptych.operations.trail import Trail

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def deposited(amount: int = 1, name: str = "Deposited", **meta: Any) -> EventToStore:
    data = msgspec.json.encode({"account_id": "a", "amount": amount})
    return EventToStore(name, 1, data, msgspec.json.encode(Metadata("e", **meta)))


async def append(app: App, *events: EventToStore, at: datetime = NOON, expected: int = -1) -> None:
    recorded_us = int(at.timestamp()) * 1_000_000
    await app.log.append(
        Append((StreamAppend("Account-a", expected, events),), recorded_us=recorded_us)
    )


async def found(app: App, stream: str | None = None, **wanted: Any) -> list[int]:
    return [one.position async for one in app.trail.history(stream, **wanted)]


@pytest.fixture
async def app():
    async with App("bank", BANK) as app:
        yield app


@pytest.fixture
async def told(app):
    """Positions 1 to 6, by several people."""
    await app.dispatch(Deposit("a", 10), actor="ann", tenant="north", correlation_id="c1")
    await app.dispatch(Deposit("b", 20), actor="bob", tenant="south", causation_id="m7")
    await app.dispatch(Withdraw("a", 1), actor="bob", tenant="north", correlation_id="c1")
    await app.dispatch(Deposit("a", 5), id="form-7")
    await app.dispatch(Transfer("a", "b", 3), actor="ann", tenant="north")
    return app


async def test_a_record_says_who_did_what_when_and_why(app):
    before = app.environment.now()
    await app.dispatch(
        Deposit("a", 10), actor="ann", tenant="north", correlation_id="c1", causation_id="m1"
    )
    [record] = [one async for one in app.trail.history()]
    assert (record.position, record.stream, record.version) == (1, "Account-a", 1)
    assert (record.type, record.event) == ("Deposited", Deposited("a", 10))
    assert (record.actor, record.tenant) == ("ann", "north")
    assert (record.correlation_id, record.causation_id) == ("c1", "m1")
    assert before <= record.recorded_at <= app.environment.now()
    assert record.event_id
    assert record.unreadable is None


@pytest.mark.parametrize(
    ("stream", "wanted", "positions"),
    [
        (None, {}, [1, 2, 3, 4, 5, 6]),
        ("Account-a", {}, [1, 3, 4, 5]),
        ("Account-a", {"actor": "ann"}, [1, 5]),
        ("nothing", {}, []),
        (None, {"actor": "bob"}, [2, 3]),
        (None, {"tenant": "north"}, [1, 3, 5, 6]),
        (None, {"tenant": "north", "actor": "bob"}, [3]),
        (None, {"types": [Withdrawn]}, [3, 5]),
        (None, {"types": ["Withdrawn", "nobody's"], "actor": "ann"}, [5]),
        ("Account-a", {"types": [Withdrawn]}, [3, 5]),
        (None, {"correlation_id": "c1"}, [1, 3]),
        (None, {"causation_id": "form-7"}, [4]),
        (None, {"causation_id": "m7"}, [2]),
        (None, {"after": 4}, [5, 6]),
        (None, {"after": 2, "upto": 4}, [3, 4]),
        ("Account-a", {"after": 1, "upto": 4}, [3, 4]),
        (None, {"upto": 0}, []),
        (None, {"after": 99}, []),
        (None, {"upto": 99, "after": 5}, [6]),
    ],
)
async def test_the_history_holds_what_meets_all_conditions(told, stream, wanted, positions):
    assert await found(told, stream, **wanted) == positions


async def test_times_are_those_of_each_event_even_where_clocks_disagree(app):
    for minutes in (0, 30, 10, 20):
        await append(app, deposited(), at=NOON + timedelta(minutes=minutes))
    assert await found(app, since=NOON + timedelta(minutes=10)) == [2, 3, 4]
    assert await found(app, until=NOON + timedelta(minutes=10)) == [1, 3]
    assert await found(app, since=NOON, until=NOON) == [1]


async def test_a_time_without_a_zone_is_refused(app):
    with pytest.raises(ConfigurationError, match="time zone"):
        await found(app, since=datetime(2026, 1, 31))  # noqa: DTZ001  what is refused


async def test_a_class_that_nobody_names_is_refused(app):
    class Nobodys(msgspec.Struct):
        pass

    with pytest.raises(UnknownMessageType):
        await found(app, types=[Nobodys])


async def test_what_cannot_be_read_is_told_and_hides_nothing_else(app):
    await append(app, deposited(1), deposited(2, "Forgotten", actor="ann"))
    await append(app, deposited(3)._replace(meta=b"\xff"), deposited(4)._replace(data=b"{"))
    await append(app, deposited(5))
    records = [one async for one in app.trail.history()]
    assert [bool(one.unreadable) for one in records] == [False, True, True, True, False]
    assert [one.event.amount if one.event else None for one in records] == [1, None, 3, None, 5]
    assert "Forgotten" in records[1].unreadable
    assert records[1].actor == "ann"
    assert b'"amount":2' in records[1].data


async def test_a_moment_beyond_all_calendars_is_told(app):
    await app.log.append(
        Append((StreamAppend("s", 0, (deposited(),)),), recorded_us=1 << 62),
    )
    [record] = [one async for one in app.trail.history()]
    assert record.recorded_at is None
    assert str(1 << 62) in record.unreadable


async def test_a_long_history_is_read_in_pages_and_only_as_far_as_it_is_wanted(app, monkeypatch):
    for _ in range(5):
        await append(app, *[deposited()] * 700)
    asked: list[int] = []
    read = app.log.read

    async def watched(after: int, limit: int, filters: Any = ()) -> Any:
        asked.append(limit)
        return await read(after, limit, filters)

    monkeypatch.setattr(app.log, "read", watched)
    async with aclosing(app.trail.history()) as history:
        async for record in history:
            if record.position == 1_001:
                break
    assert asked == [1_000, 1_000]
    steps: list[tuple[int, int]] = []
    assert await found(app, progress=lambda *step: steps.append(step)) == list(range(1, 3_501))
    assert steps[-1] == (3_500, 3_500)
    assert max(asked) == 1_000


async def test_a_trail_opens_what_is_not_open_yet():
    app = App("bank", BANK)
    trail = Trail(app.log, app.parts, app.left.load, app.sources, app.open)
    assert [one async for one in trail.history()] == []
    await app.close()
