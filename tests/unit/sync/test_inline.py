"""Inline projections: folded in the append's transaction, so never behind."""

from typing import Any

import pytest
from banking import BANK, Account, Balance, Balances, Deposit, Deposited, GetBalance, Withdrawn

from diptych import App, Envelope, Projection, ReadModel, keyed_by
from diptych.errors import ProjectionFailed


class Seen(ReadModel, key="account_id"):
    account_id: str
    positions: list[int] = []


class Watching(Projection[Seen]):
    """Writes down every position it was given."""

    @keyed_by(lambda event: "all")
    def moved(self, row: Seen, event: Deposited | Withdrawn, envelope: Envelope) -> None:
        row.positions.append(envelope.position)


class Failing(Projection[Balance]):
    """Cannot bear the number 13."""

    def deposited(self, row: Balance, event: Deposited) -> None:
        if event.amount == 13:
            raise ValueError("13")
        row.balance += event.amount


async def rows_of(app: App, projection: type, key: str) -> Any:
    source = app.sources[projection]
    found = (await source.store.load(source.plan.name, [key])).rows.get(key)
    return found and found.value


async def states_of(app: App) -> dict[str, tuple[str, int]]:
    return {one.name: (one.state, one.position) for one in await app.status()}


async def test_an_inline_projection_that_fails_refuses_the_command():
    async with App("bank", [Account, Failing, Watching], inline=[Failing]) as app:
        await app.dispatch(Deposit("a", 1))
        with pytest.raises(ProjectionFailed, match="ValueError"):
            await app.dispatch(Deposit("a", 13))
        assert await app.log.head() == 1
        await app.dispatch(Deposit("a", 2))
        assert await rows_of(app, Failing, "a") == Balance("a", 3)
        await app.settle()
        assert (await rows_of(app, Watching, "all")).positions == [1, 2]


async def test_inline_and_asynchronous_give_the_same_rows():
    found = []
    for inline in ([], [Balances], [Balances, Watching]):
        async with App("bank", [*BANK, Watching], inline=inline) as app:
            for number in range(20):
                await app.dispatch(Deposit(f"a{number % 3}", number))
            if Balances in inline:
                assert await rows_of(app, Balances, "a0") is not None
            await app.settle()
            rows = [await rows_of(app, Balances, f"a{n}") for n in range(3)]
            found.append((rows, await rows_of(app, Watching, "all")))
    assert found[0] == found[1] == found[2]


async def test_an_inline_projection_is_never_behind():
    async with App("bank", BANK, inline=[Balances]) as app:
        for amount in range(1, 10):
            done = await app.dispatch(Deposit("a", 1))
            answer = await app.ask(GetBalance("a"), after=done.token, within_s=0)
            assert answer == Balance("a", amount)
        assert (await states_of(app))["balances"] == ("inline", 9)
