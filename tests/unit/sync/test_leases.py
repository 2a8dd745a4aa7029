"""Leases in virtual time: one holder per epoch, quick take-overs, even shares, and no writes while
nobody asks.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence

import pytest

from diptych.adapters.memory.read_store import MemoryReadStore
from diptych.environment import Environment
from diptych.errors import LeaseLost, StoreUnavailable
from diptych.queries.read_model import ReadModel, shape_of
from diptych.queries.read_store import Change, LeaseSwap, TableSpec
from diptych.sync.lease import ANSWER_WITHIN_S, TEND_EVERY_S, Leases, held
from diptych.sync.terms import read_terms
from diptych.testing import for_each_seed
from diptych.testing.contract.faulty.shared import SharedStore


class Page(ReadModel, key="id"):
    id: str


NAMES = [f"p{number}" for number in range(6)]
TABLES = [TableSpec(name, "1", shape_of(Page)) for name in NAMES]


class Watched(SharedStore):
    """A store that fails or hangs when told to, and judges every swap by what came before."""

    def __init__(self, inner: MemoryReadStore, environment: Environment) -> None:
        super().__init__(inner)
        self.environment = environment
        self.calls = self.moved = 0
        self.owners: dict[tuple[str, int], str] = {}
        self.at_s: dict[tuple[str, str], float] = {}
        self.everybody: list[Leases] = []
        self.fails = False
        self.answers = asyncio.Event()
        self.answers.set()
        self.takes_s = 0.0

    async def reply(self) -> None:
        if self.takes_s:
            await self.environment.sleep(self.takes_s)
        await self.answers.wait()
        if self.fails:
            raise StoreUnavailable("told to fail")

    async def checkpoints(self, projections):
        await self.reply()
        return await self.inner.checkpoints(projections)

    async def checkpoint(self, projection):
        await self.reply()
        return await self.inner.checkpoint(projection)

    async def apply(self, changes):
        await self.reply()
        await self.inner.apply(changes)

    async def swap_leases(self, swaps: Sequence[LeaseSwap]) -> list[bool]:
        await self.reply()
        self.calls += 1
        done = await self.inner.swap_leases(swaps)
        for swap, swapped in zip(swaps, done, strict=True):
            if swapped:
                self.judge(swap)
        return done

    def judge(self, swap: LeaseSwap) -> None:
        name, before, after = swap
        was, now = read_terms(before).owner, read_terms(after).owner
        assert after.epoch == before.epoch + (was != now), (
            "the epoch grows with every owner, and only then"
        )
        assert self.owners.setdefault((name, after.epoch), now) == now
        self.moved += was != now
        if was != now:
            self.at_s[name, now] = self.environment.monotonic_s()

    async def now(self) -> dict[str, str]:
        """Who owns what; nobody else may believe to hold it with the present epoch."""
        found = await self.inner.checkpoints(NAMES)
        owners = {name: read_terms(info.lease).owner for name, info in found.items()}
        for each in self.everybody:
            for name, epoch in each.held.items():
                if epoch == found[name].lease.epoch:
                    assert owners[name] == each.owner
        return owners


@contextlib.asynccontextmanager
async def watched(environment):
    store = Watched(MemoryReadStore(), environment)
    await store.open(TABLES)
    tasks: list[asyncio.Task] = []

    def start(count: int, environment: Environment = environment) -> Leases:
        leases = Leases(store, NAMES[:count], environment)
        store.everybody.append(leases)
        task = asyncio.create_task(leases.keep(lambda _: None))
        leases.task = task  # type: ignore[attr-defined]
        tasks.append(task)
        return leases

    async def looking() -> None:
        while True:
            await store.now()
            await environment.sleep(0.02)

    tasks.append(asyncio.create_task(looking()))
    store.start = start  # type: ignore[attr-defined]
    yield store
    for task in tasks:
        task.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(ended, asyncio.CancelledError), ended


async def until(condition, environment, within_s):
    """How long it took, in virtual seconds."""
    began = environment.monotonic_s()
    while not await condition():
        assert environment.monotonic_s() - began < within_s, f"not within {within_s} s"
        await environment.sleep(0.01)
    return environment.monotonic_s() - began


def shares(owners):
    assert all(owners.values())
    return sorted(Counter(owners.values()).values())


def even(projections, holders):
    least, more = divmod(projections, holders)
    return sorted(count for count in [least + 1] * more + [least] * (holders - more) if count)


@pytest.mark.parametrize("projections", range(1, 7))
def test_any_number_of_runners_share_evenly_and_then_leave_it_at_that(projections):
    async def main(environment):
        runners = 1 + environment.seed % 6
        async with watched(environment) as store:
            for _ in range(runners):
                store.start(projections)
                if environment.random.random() < 0.5:
                    await environment.sleep(environment.random.random())

            async def shared():
                owners = dict(list((await store.now()).items())[:projections])
                return all(owners.values()) and shares(owners) == even(projections, runners)

            await until(shared, environment, 10)
            assert store.moved <= 3 * projections
            moved = store.moved
            await environment.sleep(10)
            assert store.moved == moved, "leases go to and fro though they are shared evenly"
            assert await shared()

    for_each_seed(main, [*range(18), 46])  # 46: who asked twice was given too many


def test_one_that_comes_late_gets_its_share_and_one_that_leaves_gives_it_back():
    async def main(environment):
        async with watched(environment) as store:
            first = store.start(6)
            await environment.sleep(1)
            assert len(first.held) == 6
            second = store.start(6)
            await until(lambda: as_async(len(second.held) == 3), environment, 2)
            second.task.cancel()
            await second.release()
            assert second.held == {}
            await until(lambda: as_async(len(first.held) == 6), environment, 1)

    for_each_seed(main, range(8))


async def as_async(value):
    return value


def test_a_holder_that_stops_answering_is_replaced_within_two_seconds():
    took = []

    async def main(environment):
        async with watched(environment) as store:
            first = store.start(3)
            await environment.sleep(environment.random.random() * 3)
            for _ in range(1 + environment.seed % 3):
                store.start(3)
            await environment.sleep(3 + environment.random.random() * 3)
            first.task.cancel()

            async def replaced():
                owners = await store.now()
                return first.owner not in owners.values() and all(
                    owners[name] for name in NAMES[:3]
                )

            took.append(await until(replaced, environment, 2))

    for_each_seed(main, range(25))
    assert sorted(took)[len(took) // 2] < 1.3


def test_an_asker_that_leaves_is_given_nothing_any_more():
    async def main(environment):
        async with watched(environment) as store:
            store.start(6)
            await environment.sleep(1.1)  # so that the holder does not answer at once
            second = store.start(6)
            await environment.sleep(environment.random.random() * 0.3)
            second.task.cancel()
            await asyncio.gather(second.task, return_exceptions=True)
            await second.release()
            for _ in range(100):
                assert second.owner not in (await store.now()).values(), (
                    "it owns a lease, and nobody moves the projection"
                )
                await environment.sleep(0.01)

    for_each_seed(main, range(25))


def test_nothing_is_written_while_nobody_asks():
    async def main(environment):
        async with watched(environment) as store:
            alone = store.start(6)
            await environment.sleep(1)
            assert len(alone.held) == 6
            calls = store.calls
            await environment.sleep(60)
            assert store.calls == calls == 1

    for_each_seed(main, range(3))


def test_leases_of_a_process_that_has_ended_are_taken_without_asking():
    class Here(Environment):
        """One process of a machine: who is gone is known."""

        gone: set[str] = set()

        def __init__(self, environment, process):
            self._environment = environment
            self.process = process
            self.random = environment.random

        def is_gone(self, process):
            return process in self.gone

        def monotonic_s(self):
            return self._environment.monotonic_s()

        async def sleep(self, seconds):
            await self._environment.sleep(seconds)

    async def main(environment):
        Here.gone = set()
        async with watched(environment) as store:
            first = store.start(6, Here(environment, "one"))
            await environment.sleep(1)
            second = store.start(6, Here(environment, "two"))
            await environment.sleep(environment.random.random() * 2)
            first.task.cancel()
            Here.gone.add("one")
            await until(lambda: as_async(len(second.held) == 6), environment, 2 * TEND_EVERY_S)

    for_each_seed(main, range(8))


@pytest.mark.parametrize("how", ["fails", "hangs"])
def test_f28_who_cannot_confirm_its_lease_holds_nothing_and_comes_back(how):
    async def main(environment):
        async with watched(environment) as store:
            alone = store.start(6)
            await environment.sleep(1 + environment.random.random())
            assert len(alone.held) == 6
            if how == "fails":
                store.fails = True
            else:
                store.answers.clear()
            await until(
                lambda: as_async(not alone.held), environment, ANSWER_WITHIN_S + TEND_EVERY_S
            )
            await environment.sleep(3)
            assert alone.held == {}
            store.fails = False
            store.answers.set()
            await until(lambda: as_async(len(alone.held) == 6), environment, 1)

    for_each_seed(main, range(6))


def test_f29_a_slow_store_makes_nobody_give_up_a_holder_that_lives():
    async def main(environment):
        async with watched(environment) as store:
            store.takes_s = 0.5
            for _ in range(3):
                store.start(6)
            await environment.sleep(30)
            moved = store.moved
            await environment.sleep(30)
            assert store.moved == moved, "its answer only took as long as everything else"
            assert shares(await store.now()) == [2, 2, 2]
            store.everybody[0].task.cancel()

            async def replaced():
                return store.everybody[0].owner not in (await store.now()).values()

            await until(replaced, environment, 10)

    for_each_seed(main, range(6))


def test_who_mends_by_hand_is_stood_aside_for_and_leaves_it_to_the_others():
    async def main(environment):
        async with watched(environment) as store:
            runner = store.start(2)
            store.start(2)
            await environment.sleep(2)
            async with held(store, "p0", environment, "mending") as epoch:
                for _ in range(50):
                    found = await store.inner.checkpoint("p0")
                    assert runner.held.get("p0") != found.lease.epoch
                    assert (found.lease.epoch, read_terms(found.lease).why) == (epoch, "mending")
                    await environment.sleep(0.1)
                await store.apply([Change("p0", 0, 1, epoch=epoch)])
            await until(lambda: is_taken(store, "p0"), environment, 1)
            with pytest.raises(LeaseLost):
                await store.apply([Change("p0", 1, 2, epoch=epoch)])

    async def is_taken(store, name):
        return read_terms((await store.inner.checkpoint(name)).lease).owner in {
            each.owner for each in store.everybody
        }

    for_each_seed(main, range(6))


def test_of_two_who_mend_by_hand_the_later_one_has_it():
    async def main(environment):
        async with watched(environment) as store:
            store.start(1)
            await environment.sleep(1)
            wrote: list[str] = []

            async def mend(name):
                await environment.sleep(environment.random.random())
                async with held(store, "p0", environment, name) as epoch:
                    for _ in range(20):
                        await environment.sleep(environment.random.random() * 0.2)
                        position = (await store.inner.checkpoint("p0")).position
                        await store.apply([Change("p0", position, position + 1, epoch=epoch)])
                        wrote.append(name)

            ended = await asyncio.gather(mend("a"), mend("b"), return_exceptions=True)
            assert sum(isinstance(one, LeaseLost) for one in ended) <= 1
            assert None in ended, "the one who came last is disturbed by nobody"
            last = wrote[-1]
            assert wrote[wrote.index(last) :].count(last) == 20
            first = [name for name in wrote if name != last]
            assert wrote[: len(first)] == first, "who lost it wrote on"

    for_each_seed(main, range(15))


def test_facts_are_noted_whatever_happens_at_the_same_time():
    async def main(environment):
        async with watched(environment) as store:
            first = store.start(2)
            await environment.sleep(1)
            store.start(2)
            noted: list[int] = []

            async def note():
                for number in range(1, 40):
                    await first.note("p0", suspect=number)
                    noted.append(number)
                    await environment.sleep(environment.random.random() * 0.05)

            task = asyncio.create_task(note())
            await environment.sleep(environment.random.random())
            async with held(store, "p0", environment, "mending"):
                with pytest.raises(LeaseLost, match="was lost to"):
                    await task
                terms = read_terms((await store.inner.checkpoint("p0")).lease)
                assert terms.suspect == (noted or [0])[-1], "a fact was lost or invented"

    for_each_seed(main, range(8))
