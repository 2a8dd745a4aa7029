"""Live or in a rebuild, the log is read in one way; and rows that are read next are as new."""

from __future__ import annotations

from banking import BANK, Account, Balance, Balances, Deposit, GetBalance
from poison import STRANGE, record

from diptych import App


async def parked(app: App, generation: str) -> list[tuple[str, int, str]]:
    found = await app.sources[Balances].store.parked(generation)
    return [(one.key, one.position, one.because) for one in found]


async def test_a_rebuild_parks_what_the_live_rows_have_parked():
    async with App("bank", [Account, Balances]) as app:
        await app.dispatch(Deposit("a", 1))
        await record(app, "Account-a", STRANGE)
        await app.dispatch(Deposit("b", 2))
        store = app.sources[Balances].store
        assert await app._freshness.wait(app.sources[Balances], 3, 5)
        live = await parked(app, "balances")
        assert live == [("Account-a", 2, "failed")]
        new = await app.generations(Balances).build()
        assert await parked(app, new) == live
        await app.rebuild(Balances)
        assert await parked(app, app.sources[Balances].plan.name) == live
        assert (await store.checkpoint(new)).position == 3


async def test_f33_rows_that_are_read_next_have_come_as_far_as_those_read_before():
    async with App("bank", BANK) as app:
        await app.dispatch(Deposit("a", 1))
        generations = app.generations(Balances)
        await generations.build()
        for _ in range(20):
            await app.dispatch(Deposit("a", 1))
        await app.settle()
        async with generations._rebuild().level("looking at them") as (old, new):
            stands = await app.sources[Balances].store.checkpoints([old, new])
            assert stands[new].position >= stands[old].position == 21
        await generations.switch()
        assert await app.ask(GetBalance("a")) == Balance("a", 21)
