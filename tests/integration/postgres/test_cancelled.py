"""Commands and queries that are cancelled wherever they wait: fault F15."""

from __future__ import annotations

import asyncio
import types

import asyncpg
import pytest
from banking import BANK, Balances, Deposit, GetBalance, Transfer, Withdraw

from diptych import App, Rejection


@types.coroutine
def cancelled_at(nth, work):
    """Await `work`; its task is cancelled at the n-th point where it waits for anything."""
    step, sent, waits = work.send, None, 0
    while True:
        try:
            awaited = step(sent)
        except StopIteration as end:
            return end.value
        waits += 1
        if waits == nth:
            asyncio.current_task().cancel()
        try:
            step, sent = work.send, (yield awaited)
        except BaseException as error:  # noqa: BLE001  it is thrown into the work
            step, sent = work.throw, error


async def was_cancelled(nth, work):
    """Whether there is an n-th point at which it could be cancelled."""
    task = asyncio.create_task(_waiting(cancelled_at(nth, work)))
    await asyncio.wait([task])
    if task.cancelled():
        return True
    assert isinstance(task.exception(), Rejection | None), task.exception()
    return bool(task.cancelling())


async def _waiting(work):
    return await work


@pytest.fixture(params=[(), (Balances,)], ids=["async", "inline"])
async def app(postgres_url, request):
    async with App("bank", BANK, write=postgres_url, inline=request.param) as app:
        await app.dispatch(Deposit("a", 1_000_000))
        yield app


@pytest.fixture
async def open_transactions(postgres, postgres_schema):
    """Wait until none of our sessions is in a transaction."""
    other = await asyncpg.connect(postgres.primary)
    statement = (
        "SELECT query FROM pg_stat_activity WHERE application_name LIKE $1 AND "
        "(state LIKE 'idle in transaction%' OR (state = 'active' AND xact_start IS NOT NULL))"
    )

    async def none() -> None:
        async with asyncio.timeout(20):
            while await other.fetch(statement, f"diptych {postgres_schema}%"):
                pass

    yield none
    await other.close()


COMMANDS = {
    "deposit": lambda n: Deposit(f"b-{n}", n),
    "transfer": lambda n: Transfer("a", "b", n),
    "refusal": lambda n: Withdraw("c", n),
}


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "in a batch"])
@pytest.mark.parametrize("kind", COMMANDS)
async def test_f15_a_command_cancelled_wherever_it_waits_happens_once_or_not_at_all(
    kind, beside, app, open_transactions
):
    nth, cancelled = 0, True
    while cancelled:
        nth += 1
        command, known = COMMANDS[kind](7_000 + nth), f"{kind}-{nth}"
        others = [app.dispatch(Deposit(f"d-{n}", 1)) for n in range(3 * beside)]
        cancelled, *_ = await asyncio.gather(
            was_cancelled(nth, app.dispatch(command, id=known)), *others
        )
        try:
            done = await app.dispatch(command, id=known)
        except Rejection:
            done = None
        stored = [
            one for one in await app.log.read(0, 10_000) if f":{7_000 + nth}}}".encode() in one.data
        ]
        assert len(stored) == {"deposit": 1, "transfer": 2, "refusal": 0}[kind]
        assert kind == "refusal" or {one.position for one in stored} >= {done.token.position}
    assert nth > 2, "it never waited"
    await open_transactions()
    await app.settle()
    assert (await app.verify()).ok


async def test_f15_a_query_cancelled_wherever_it_waits_leaves_nothing_behind(
    app, open_transactions
):
    nth, cancelled = 0, True
    while cancelled:
        nth += 1
        done = await app.dispatch(Deposit("a", 1))
        query = app.ask(GetBalance("a"), after=done.token, within_s=10)
        cancelled = await was_cancelled(nth, query)
        assert (await app.ask(GetBalance("a"), after=done.token, within_s=10)).balance >= nth
    assert nth > 2, "it never waited"
    await open_transactions()


async def test_f15_rows_set_back_by_a_call_cancelled_wherever_it_waits_can_be_set_back_again(
    postgres_url, open_transactions
):
    async with App("bank", BANK, write=postgres_url) as app:
        await app.dispatch(Deposit("a", 5))
        await app.settle()
    async with await App("bank", BANK, write=postgres_url).open(projections=False) as app:
        source = app.sources[Balances]
        nth, cancelled = 0, True
        while cancelled:
            nth += 1
            cancelled = await was_cancelled(nth, source.store.reset(source.plan.table))
            await source.store.reset(source.plan.table)
        await open_transactions()
        assert nth > 3
