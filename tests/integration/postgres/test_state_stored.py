"""Aggregates that are stored as state, on PostgreSQL."""

from __future__ import annotations

from banking import Account, Deposit

from diptych import App


async def test_a_state_is_stored_and_found_again(postgres_url):
    async with App("bank", [Account], write=postgres_url, state_stored=[Account]) as app:
        await app.dispatch(Deposit("a", 5))
        await app.dispatch(Deposit("a", 2))
        snapshot = await app.log.snapshot("Account-a")
    assert snapshot is not None
    assert snapshot.version == 2
    async with App("bank", [Account], write=postgres_url, state_stored=[Account]) as app:
        assert (await app.load(Account, "a")).balance == 7
