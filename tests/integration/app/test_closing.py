"""Closing an application finishes what it has accepted, on every kind of database."""

from __future__ import annotations

import asyncio

import pytest
from banking import BANK, Balance, Balances, Deposit, GetBalance

from diptych import App
from diptych.errors import StoreUnavailable

MANY = 64


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def url(request, tmp_path):
    if request.param == "memory":
        return "memory://"
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/bank.db"
    return request.getfixturevalue("postgres_url")


async def begun(calls):
    """Tasks that have each come to their first wait."""
    tasks = [asyncio.create_task(call) for call in calls]
    await asyncio.sleep(0)
    return tasks


@pytest.mark.parametrize("inline", [[], [Balances]])
async def test_commands_in_flight_are_finished(url, inline):
    app = App("bank", BANK, write=url, inline=inline)
    await app.open()
    tasks = await begun(app.dispatch(Deposit(f"a{i}", 1)) for i in range(MANY))
    await app.close()
    assert all(one.done() for one in tasks)
    assert [one.exception() for one in tasks] == [None] * MANY


async def test_queries_in_flight_are_finished(url):
    app = App("bank", BANK, write=url)
    done = await app.dispatch(Deposit("a", 1))
    tasks = await begun(app.ask(GetBalance("a"), after=done) for _ in range(MANY))
    await app.close()
    assert [await one for one in tasks] == [Balance("a", 1)] * MANY


async def test_what_comes_while_it_is_closing_is_refused(url):
    app = App("bank", BANK, write=url)
    done = await app.dispatch(Deposit("a", 1))
    later = done.token.__class__(done.token.log, done.token.position + 1)
    (asked,) = await begun([app.ask(GetBalance("a"), after=later, within_s=30)])
    (closing,) = await begun([app.close()])
    for refused in (app.dispatch(Deposit("a", 1)), app.ask(GetBalance("a"))):
        with pytest.raises(StoreUnavailable, match="being closed"):
            await refused
    assert not closing.done()
    asked.cancel()
    await closing
    assert asked.cancelled()


async def test_a_close_that_is_cancelled_waits_for_nobody(url):
    app = App("bank", BANK, write=url)
    done = await app.dispatch(Deposit("a", 1))
    later = done.token.__class__(done.token.log, done.token.position + 1)
    (asked,) = await begun([app.ask(GetBalance("a"), after=later, within_s=30)])
    (closing,) = await begun([app.close()])
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    with pytest.raises(StoreUnavailable):
        await app.log.head()
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    await app.dispatch(Deposit("a", 1))
    await app.close()
