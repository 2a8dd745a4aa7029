"""The whole path with its n-th call going wrong, for every n and in every way.

Afterwards a second process, whose calls go well, is given the same list: what was acknowledged is
there, every effect once, no position is missing, rows are what the log says.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from banking import Deposit, GetBalance, Transfer, Withdraw
from failpoint_checks import check_parked, check_rows
from failpoint_workers import PARTS, UNBEARABLE, arrived

from diptych import App, Rejection
from diptych.adapters.memory.event_log import MemoryEventLog
from diptych.adapters.memory.read_store import MemoryReadStore
from diptych.adapters.sqlite.event_log import SqliteEventLog
from diptych.adapters.sqlite.read_store import SqliteReadStore
from diptych.errors import ConflictError, DiptychError, StoreError
from diptych.testing import run_seeded
from diptych.testing.contract.faulty.shared import SharedLog, SharedStore
from diptych.testing.nth_call import LOG_CALLS, STORE_CALLS, WAYS, NthCall

LIST = {
    "c-1": Deposit("a", 30),
    "c-2": Transfer("a", "b", 7),
    "c-3": Withdraw("b", 100),
    "c-4": Deposit("a", UNBEARABLE),
    "c-5": Transfer("b", "a", 5),
}


async def answered(app: App, command_id: str, patience_s: float) -> str | None:
    """The answer as text; None: there was none within a few attempts."""
    for _ in range(3):
        attempt = asyncio.create_task(app.dispatch(LIST[command_id], id=command_id))
        await asyncio.wait([attempt], timeout=patience_s)
        attempt.cancel()
        try:
            done = await attempt
        except asyncio.CancelledError:
            continue  # by this test, or by what went wrong
        except Rejection as no:
            return f"no: {no}"
        except (StoreError, ConflictError):
            continue
        await looked_up(app, done, patience_s)
        return f"yes: {done.token}"
    return None


async def looked_up(app: App, done: Any, patience_s: float) -> None:
    """Ask after the token: a row that is older is never an answer."""
    asking = asyncio.create_task(
        app.ask(GetBalance("a"), after=done.token, within_s=patience_s / 2)
    )
    await asyncio.wait([asking], timeout=patience_s)
    asking.cancel()
    try:
        found = await asking
    except (asyncio.CancelledError, DiptychError):
        return
    source = app.sources[PARTS[1]]
    known = await source.store.inner.checkpoint("balances")  # type: ignore[attr-defined]
    assert known.position >= done.token.position
    assert found is not None


async def first_life(app: App, patience_s: float) -> dict[str, str]:
    """What was answered while one call went wrong."""
    heard = {}
    try:
        async with asyncio.timeout(10 * patience_s):
            await app.open()
    except (StoreError, TimeoutError, asyncio.CancelledError):
        return {}
    for command_id in LIST:
        answer = await answered(app, command_id, patience_s)
        if answer is not None:
            heard[command_id] = answer
    return heard


async def story(log: Any, store: Any, nth: NthCall, environment: Any, patience_s: float) -> None:
    def life(nth: NthCall) -> App:
        ports = nth.before(SharedLog(log), LOG_CALLS), nth.before(SharedStore(store), STORE_CALLS)
        return App("bank", PARTS, write=ports[0], read=ports[1], environment=environment)

    app = life(nth)
    living = asyncio.create_task(first_life(app, patience_s))
    await asyncio.wait([living])
    heard = {} if living.cancelled() else living.result()
    async with asyncio.timeout(10):
        await app.close()
    async with life(NthCall()) as after:
        for command_id in LIST:
            answer = await answered(after, command_id, 10)
            assert answer is not None
            assert heard.get(command_id, answer) == answer, "another answer to the same id"
        stored = await log.read(0, 1000)
        assert [one.position for one in stored] == list(range(1, len(stored) + 1))
        assert [one.type for one in stored].count("Deposited") == 4
        assert len(stored) == 6, "an effect twice, or none"
        await arrived(after)
        await check_rows(after)
        await check_parked(after)


def on_memory(nth: int, way: Any, seed: int) -> NthCall:
    counting = NthCall(nth, way)

    async def main(environment: Any) -> None:
        log, store = MemoryEventLog(environment=environment), MemoryReadStore()
        await log.open()
        await story(log, store, counting, environment, 3)

    run_seeded(main, seed)
    return counting


@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", WAYS)
def test_f15_f25_whichever_call_goes_wrong_on_memory_nothing_is_lost_or_done_twice(way, chance):
    seed = chance.randrange(1000)
    calls = on_memory(0, "before", seed).calls
    assert calls > 50
    reached: set[str] = set()
    for nth in range(1, calls + 1):
        reached.add(on_memory(nth, way, seed).which)
    print(f"{calls} calls: {', '.join(sorted(reached))}")  # noqa: T201
    assert {"SharedLog.append", "SharedStore.apply", "SharedStore.swap_leases"} <= reached


@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", WAYS)
async def test_f15_f25_whichever_call_goes_wrong_on_sqlite_nothing_is_lost_or_done_twice(
    way, chance, tmp_path
):
    async def once(nth: NthCall, number: int) -> NthCall:
        url = f"sqlite:///{tmp_path}/{number}.db"
        log, store = SqliteEventLog(url), SqliteReadStore(url)
        await log.open()
        await story(log, store, nth, None, 0.2)
        await store.close()
        await log.close()
        return nth

    calls = (await once(NthCall(), 0)).calls
    for nth in range(chance.randint(1, 4), calls + 1, 4):
        await once(NthCall(nth, way), nth)
