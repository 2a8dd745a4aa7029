"""The same seed is the same interleaving; some seed finds the race."""

from __future__ import annotations

import asyncio

import pytest
from banking import BANK, Account, Balance, Deposit, GetBalance, Transfer

from diptych import App, Environment
from diptych.errors import DiptychError
from diptych.testing import for_each_seed, run_seeded


async def trace_of_a_busy_bank(environment: Environment) -> list[tuple[str, bytes, int]]:
    async with App("bank", BANK, environment=environment) as app:

        async def customer(number: int) -> None:
            for _ in range(3):
                done = await app.dispatch(Deposit(f"a{number % 2}", number), id=None)
                await environment.sleep(environment.random.random() * 0.01)
                await app.ask(GetBalance("a0"), after=done.token)

        await asyncio.gather(*(customer(number) for number in range(5)))
        await app.settle()
        return [(one.stream, one.data, one.recorded_us) for one in await app.log.read(0, 100)]


def test_the_same_seed_gives_the_same_trace():
    assert run_seeded(trace_of_a_busy_bank, 3) == run_seeded(trace_of_a_busy_bank, 3)


def test_other_seeds_give_other_traces():
    traces = {tuple(one[:2] for one in trace) for trace in for_each_seed(trace_of_a_busy_bank)}
    assert len(traces) > 25


async def racy(environment: Environment) -> None:
    balance = 0

    async def deposit() -> None:
        nonlocal balance
        read = balance
        if environment.random.random() < 0.5:
            await asyncio.sleep(0)  # now and then somebody else comes between
        balance = read + 1

    await asyncio.gather(*(deposit() for _ in range(3)))
    assert balance == 3


def test_a_lost_update_is_found_by_some_seed_and_replayed_by_it():
    with pytest.raises(AssertionError) as failed:
        for_each_seed(racy)
    (note,) = (one for one in failed.value.__notes__ if "seed" in one)
    seed = int(note.split(":")[0].removeprefix("seed "))
    for _ in range(3):
        with pytest.raises(AssertionError):
            run_seeded(racy, seed)


def test_no_seed_finds_a_lost_update_in_an_aggregate_or_a_unit_of_work():
    async def main(environment: Environment) -> None:
        async with App("bank", BANK, environment=environment, cached_states=2) as app:
            await app.dispatch(Deposit("a", 100))
            moves = [app.dispatch(Transfer("a", f"b{n}", 10)) for n in range(4)]
            adds = [app.dispatch(Deposit("a", 1)) for _ in range(4)]
            await asyncio.gather(*moves, *adds)
            assert (await app.load(Account, "a")).balance == 64
            await app.settle()
            assert await app.ask(GetBalance("a")) == Balance("a", 64)

    for_each_seed(main, range(30))


def test_virtual_time_costs_no_time():
    async def main(environment: Environment) -> float:
        before = environment.now()
        await environment.sleep(3_600)
        async with asyncio.timeout(7_200):
            await asyncio.sleep(3_600)
        return (environment.now() - before).total_seconds()

    assert run_seeded(main, 1) == pytest.approx(7_200, abs=1)


def test_timeouts_fire_at_virtual_times():
    async def main(environment: Environment) -> str:
        try:
            async with asyncio.timeout(5):
                await asyncio.Event().wait()
        except TimeoutError:
            return "in time"
        return "never"

    assert run_seeded(main, 1) == "in time"


def test_a_deadlock_says_who_waits():
    async def main(environment: Environment) -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match=r"everybody waits for ever: .*main"):
        run_seeded(main, 1)


def test_a_run_without_an_end_is_ended():
    async def main(environment: Environment) -> None:
        while True:  # noqa: ASYNC110  never ending is the point
            await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="still running after 1,000 steps"):
        run_seeded(main, 1, max_steps=1_000)


def test_threads_have_no_place_in_a_seeded_run():
    async def main(environment: Environment) -> None:
        await asyncio.to_thread(print)

    with pytest.raises(RuntimeError, match="no place for a thread"):
        run_seeded(main, 1)


def test_plain_callbacks_keep_their_order():
    async def main(environment: Environment) -> list[int]:
        seen: list[int] = []
        loop = asyncio.get_running_loop()
        for number in range(20):
            loop.call_soon(seen.append, number)
        await asyncio.sleep(1)
        return seen

    assert run_seeded(main, 5) == list(range(20))


def test_an_error_of_diptych_carries_the_seed_too():
    async def main(environment: Environment) -> None:
        async with App("bank", BANK, environment=environment) as app:
            await app.dispatch(Transfer("nobody", "b", 5))

    with pytest.raises(DiptychError) as failed:
        run_seeded(main, 11)
    assert failed.value.__notes__ == ["seed 11: run_seeded(main, 11) does it again"]
