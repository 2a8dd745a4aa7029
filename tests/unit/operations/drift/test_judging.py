"""What is doubtful is folded afresh, and what was retried meanwhile is not called wrong."""

from __future__ import annotations

from typing import Any

from banking import Balance, Deposit

from diptych.operations.drift.judging import judge
from diptych.queries.parked import Parked
from diptych.queries.read_store import Change, Row


class Meanwhile:
    """A store in which things happen just before, or just after, rows are loaded."""

    def __init__(self, store: Any, *, before: Any = (), after: Any = ()) -> None:
        self._store = store
        self._before, self._after = iter(before), iter(after)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def load(self, *args: Any) -> Any:
        await next(self._before, nothing)()
        loaded = await self._store.load(*args)
        await next(self._after, nothing)()
        return loaded


async def nothing() -> None:
    pass


async def judged(bank, store, *keys: str) -> list[str]:
    return [one.key for one in await judge(bank.ground, bank.plan, store, keys)]


ENTRY = Parked("a", 2, "Account-a", "Deposited")


async def test_a_row_is_wrong_only_if_a_fresh_refold_says_so(bank):
    await bank.deposit(a=1, b=2)
    await bank.change(rows=[Row("b", 2, Balance("b", 9))])
    (found,) = await judge(bank.ground, bank.plan, bank.store, ["a", "b", "b", "nobody"])
    assert (found.key, found.kept, found.expected) == ("b", Balance("b", 9), Balance("b", 2))


async def test_what_was_retried_since_the_log_was_read_is_not_called_wrong(bank):
    await bank.deposit(a=1)
    await bank.deposit(a=10)
    await bank.change(rows=[Row("a", 1, Balance("a", 1))], parked=[ENTRY])

    async def retry() -> None:
        await bank.change(rows=[Row("a", 2, Balance("a", 11))], unparked=[ENTRY])

    assert await judged(bank, Meanwhile(bank.store, before=[retry]), "a") == []


async def test_a_retry_between_two_readings_is_not_called_wrong(bank_of):
    from banking import BANK

    from diptych import App

    app = App("bank", BANK)
    await app.open(projections=False)
    bank = bank_of(app)
    await app.dispatch(Deposit("a", 1))
    await bank.store.apply([Change("balances", 0, 1, [Row("a", 1, Balance("a", 1))])])
    await app.dispatch(Deposit("a", 10))

    async def park() -> None:
        await bank.store.apply([Change("balances", 1, 2, parked=[ENTRY])])

    async def retry() -> None:
        await bank.change(rows=[Row("a", 2, Balance("a", 11))], unparked=[ENTRY])

    store = Meanwhile(bank.store, before=[park], after=[retry])
    assert await judged(bank, store, "a") == []
    await app.close()


async def test_what_it_says_does_not_change_when_the_log_goes_on(bank):
    await bank.deposit(a=1, b=1)
    await bank.change(deleted=["a"])
    keys = ["a", *(f"k{number}" for number in range(1_000))]  # two pages

    async def go_on() -> None:
        await bank.app.dispatch(Deposit("a", 10))
        await bank.app.settle()

    store = Meanwhile(bank.store, before=[nothing, nothing, go_on])
    (found,) = await judge(bank.ground, bank.plan, store, keys)
    assert (found.kept, found.expected, found.expected_at) == (None, Balance("a", 1), 1)
