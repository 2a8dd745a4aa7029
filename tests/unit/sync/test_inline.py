"""Inline projections: folded in the append's transaction, so never behind."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from banking import BANK, Account, Balance, Balances, Deposit, Deposited, GetBalance, Withdrawn

from diptych import App, Envelope, Projection, ReadModel, keyed_by
from diptych.errors import ProjectionFailed, StaleRead


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


BAD: set[int] = set()


class Ordered(Projection[Seen]):
    """Its rows show the order of their events; some it cannot bear."""

    def deposited(self, row: Seen, event: Deposited) -> None:
        if event.amount in BAD:
            raise ValueError(f"{event.amount} is bad")
        row.positions.append(event.amount)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    BAD.clear()
    yield (
        f"sqlite:///{tmp_path}/bank.db"
        if request.param == "sqlite"
        else request.getfixturevalue("postgres_url")
    )
    BAD.clear()


async def test_r9_what_another_process_has_parked_is_not_overtaken_inline(url):
    BAD.add(13)
    inline = App("bank", [Account, Ordered], write=url, inline=[Ordered])
    async with inline, App("bank", [Account, Ordered], write=url) as other:
        await inline.dispatch(Deposit("a", 1))
        async with await App("bank", [Account], write=url).open(projections=False) as writer:
            await writer.dispatch(Deposit("a", 13))
        with pytest.raises(StaleRead, match="has parked 'a' at position 2"):
            await other.settle()
        head = await inline.log.head()
        with pytest.raises(ProjectionFailed, match=r"'a' is parked.*same inline") as refused:
            await inline.dispatch(Deposit("a", 5))
        assert refused.value.facts["position"] == head + 1
        assert await inline.log.head() == head  # nothing was written
        await inline.dispatch(Deposit("b", 5))  # other keys flow
        BAD.clear()
        await inline.parked.retry("ordered")
        await inline.dispatch(Deposit("a", 5))
        assert (await rows_of(inline, Ordered, "a")).positions == [1, 13, 5]
        assert (await inline.verify()).ok


async def test_an_append_during_a_rebuild_in_place_folds_nothing_that_was_skipped(url):
    BAD.add(13)
    async with App("bank", [Account, Ordered], write=url) as app:
        for amount in (1, 13, 5):
            await app.dispatch(Deposit("a", amount))
        with pytest.raises(StaleRead):
            await app.settle()
        await app.parked.skip("ordered", "a", 2, reason="a test", actor="ann")
    BAD.clear()
    async with App("bank", [Account, Ordered], write=url, inline=[Ordered]) as app:
        await app.sources[Ordered].store.reset(app.sources[Ordered].plan.table)
        await app.dispatch(Deposit("a", 7))  # folds all of it
        assert (await rows_of(app, Ordered, "a")).positions == [1, 5, 7]
        assert (await app.verify()).ok
