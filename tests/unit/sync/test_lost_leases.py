"""A runner whose lease was taken meanwhile, and clocks that are wrong: neither does harm."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from banking import Account, Balance, Balances, Deposit

from diptych import App
from diptych.adapters.memory.read_store import MemoryReadStore
from diptych.environment import Environment
from diptych.queries.read_model import ReadModel, shape_of
from diptych.queries.read_store import Change, Row, TableSpec
from diptych.sync.lease import ANSWER_WITHIN_S, Leases
from diptych.sync.terms import read_terms
from diptych.testing import for_each_seed


class Page(ReadModel, key="id"):
    id: str


PAGES = TableSpec("pages", "1", shape_of(Page))


def test_f27_a_runner_whose_lease_is_taken_in_mid_batch_changes_nothing():
    """It has folded the batch; before it writes, somebody else has the lease and keeps it."""

    async def main(environment: Environment) -> None:
        async with App("bank", [Account, Balances], environment=environment) as app:
            await app.dispatch(Deposit("a", 1))
            await app.settle()
            source = app.sources[Balances]
            store, name = source.store, source.plan.name
            apply, taken = store.apply, asyncio.Event()

            async def too_late(changes: Sequence[Change]) -> None:
                if not taken.is_set():
                    taken.set()
                    await by_hand.seize()
                await apply(changes)

            by_hand = Leases(store, [name], environment, shares=False, why="mending it")
            store.apply = too_late  # type: ignore[method-assign]
            await app.dispatch(Deposit("a", 10))
            await taken.wait()
            for _ in range(50):  # whatever the runner does next
                await environment.sleep(0.01)
                assert (await store.checkpoint(name)).position == 1
                row = (await store.load(name, ["a"])).rows["a"]
                assert row == Row("a", 1, Balance("a", 1)), "written under a lease that was lost"
            store.apply = apply  # type: ignore[method-assign]
            await by_hand.release()
            await app.settle()
            assert (await app.verify()).ok

    for_each_seed(main, range(5))


class SetForward:
    """An environment whose wall clock is set forward whenever somebody looks at it."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._ahead_us = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._environment, name)

    def time_us(self) -> int:
        self._ahead_us += 3_600_000_000
        return self._environment.time_us() + self._ahead_us


def test_f13_a_clock_that_is_set_forward_takes_no_lease_from_its_holder():
    async def main(environment: Environment) -> None:
        store = MemoryReadStore()
        await store.open([PAGES])
        holder = Leases(store, ["pages"], environment)
        other = Leases(store, ["pages"], SetForward(environment))  # type: ignore[arg-type]
        await holder.tend()
        epoch = (await store.checkpoint("pages")).lease.epoch
        keeping = asyncio.create_task(other.keep(lambda found: None))
        answers = set()
        while len(answers) < 5:  # it is asked, and answers: slowly, but in time
            await environment.sleep(ANSWER_WITHIN_S / 2)
            await holder.tend()
            lease = (await store.checkpoint("pages")).lease
            assert (read_terms(lease).owner, lease.epoch) == (holder.owner, epoch)
            answers.add(read_terms(lease).answered)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)

    for_each_seed(main, range(5))
