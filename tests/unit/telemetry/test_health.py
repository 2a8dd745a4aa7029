"""Alive, ready, and how far behind: three questions with three answers."""

from __future__ import annotations

import asyncio

import pytest
from banking import BANK, Deposit

from diptych import App
from diptych.errors import StoreUnavailable
from diptych.events.obstacle import Obstacle
from diptych.sync.status import ProjectionStatus
from diptych.telemetry.deadline import within
from diptych.telemetry.health import health


async def never() -> int:
    await asyncio.Event().wait()
    return 0


async def test_an_open_application_is_alive_and_ready():
    async with App("bank", BANK) as app:
        found = await health(app)
    assert (found.alive, found.ready, found.why, found.held_up) == (True, True, (), "")
    assert [(one.kind, one.ok) for one in found.dependencies] == [
        ("log", True),
        ("read store", True),
    ]
    assert [one.name for one in found.projections] == ["balances"]


async def test_one_that_is_not_open_is_not_ready_and_stays_closed():
    app = App("bank", BANK)
    found = await health(app)
    assert (found.alive, found.ready) == (True, False)
    assert "not open" in found.why[0]
    assert app._open is False


async def test_it_is_opened_without_projections_for_a_look_from_outside():
    app = App("bank", BANK)
    found = await health(app, opening=True)
    assert found.ready
    assert [one.name for one in found.projections] == ["balances"]
    assert app._open
    assert app._panels._runners == {}
    await app.close()


async def test_lag_makes_nothing_unready():
    app = await App("bank", BANK).open(projections=False)
    for _ in range(4):
        await app.dispatch(Deposit("a", 5))
    found = await health(app)
    await app.close()
    assert (found.alive, found.ready) == (True, True)
    assert found.lag_events == 4


async def test_a_projection_that_fails_is_no_reason_to_restart(monkeypatch):
    async def status() -> list[ProjectionStatus]:
        return [
            ProjectionStatus("balances", "async", "failed", 1, 5, 4, 60.0, why="it raised"),
            ProjectionStatus("totals", "async", "live", 5, 5, 0, 0.0),
        ]

    async with App("bank", BANK) as app:
        monkeypatch.setattr(app, "status", status)
        found = await health(app)
    assert (found.alive, found.ready) == (True, True)
    assert found.why == ("balances: it raised",)
    assert (found.lag_events, found.delay_s) == (4, 60.0)


async def test_a_runner_that_has_ended_is(monkeypatch):
    async with App("bank", BANK) as app:
        ((_, task),) = app._panels._runners.values()
        task.cancel()
        await asyncio.wait([task])
        found = await health(app)
    assert (found.alive, found.ready) == (False, True)
    assert "has ended" in found.why[0]


async def test_f24_a_log_that_hangs_is_named_and_does_not_hang_health(monkeypatch):
    async with App("bank", BANK) as app:
        monkeypatch.setattr(app.log, "head", never)
        found = await health(app, within_s=0.05)
        monkeypatch.undo()
    assert (found.alive, found.ready) == (True, False)
    assert [one.ok for one in found.dependencies] == [False, True]
    assert found.why == ("log memory: it did not answer within 0.05 s",)


async def test_a_store_out_of_reach_is_named_with_its_error(monkeypatch):
    async with App("bank", BANK) as app:
        (store,) = {source.store for source in app.sources.values()}

        async def refuse(name: str) -> None:
            raise StoreUnavailable("nobody there")

        with monkeypatch.context() as patched:
            patched.setattr(store, "generations", refuse)
            found = await health(app)
    assert not found.ready
    assert found.why == ("read store memory of balances: nobody there",)


async def test_f24_status_that_hangs_is_said_and_does_not_hang_health(monkeypatch):
    async with App("bank", BANK) as app:
        monkeypatch.setattr(app, "status", never)
        found = await health(app, within_s=0.05)
    assert (found.ready, found.projections) == (True, ())
    assert found.why == ("where projections stand: it did not answer within 0.05 s",)


async def test_what_holds_up_appends_is_told(monkeypatch):
    async def held_up_by() -> Obstacle:
        return Obstacle("session 5 (psql, idle in transaction) holds the lock", 31.2)

    async with App("bank", BANK) as app:
        monkeypatch.setattr(app.log, "held_up_by", held_up_by)
        found = await health(app)
    assert found.ready
    assert found.held_up == "session 5 (psql, idle in transaction) holds the lock, for 31 s"
    assert found.why == (found.held_up,)


async def test_what_holds_up_a_read_store_is_told(monkeypatch):
    async def held_up_by() -> str:
        return "session 5 (psql) holds rows, for 31 s"

    async with App("bank", BANK) as app:
        (store,) = {source.store for source in app.sources.values()}
        monkeypatch.setattr(store, "held_up_by", held_up_by)
        found = await health(app)
    assert found.ready
    assert found.why == (
        "writes to memory of balances wait: session 5 (psql) holds rows, for 31 s",
    )


async def test_a_deadline_holds_for_what_cannot_be_cancelled():
    let_go = asyncio.Event()
    ended = asyncio.Event()

    async def stubborn() -> None:
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        ended.set()
        raise ZeroDivisionError  # nobody is left to see it, and asyncio must not complain

    with pytest.raises(TimeoutError):
        await within(0.01, stubborn())
    let_go.set()
    await ended.wait()
