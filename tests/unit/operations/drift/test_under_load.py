"""Comparing while everything moves: nothing that is right is called wrong, in any interleaving."""

from __future__ import annotations

import asyncio

from banking import BANK, Account, Balance, Deposit, Deposited

from diptych import App, Projection
from diptych.errors import CheckpointMoved
from diptych.operations.drift import comparing
from diptych.queries.fold import Batch
from diptych.queries.omitted import Omitted
from diptych.queries.parked import Parked
from diptych.queries.read_store import Change, Row
from diptych.sync.lease import held
from diptych.sync.retry import Retry, waiting_of
from diptych.sync.subscription import Subscription
from diptych.testing import for_each_seed

SEEDS = range(30)


class Yielding:
    """A store whose every call lets others run, before and after."""

    def __init__(self, store, environment):
        self._store = store
        self._environment = environment

    def __getattr__(self, name):
        own = getattr(self._store, name)

        async def call(*args):
            await self._environment.sleep(self._environment.random.random() * 0.001)
            answer = await own(*args)
            await self._environment.sleep(self._environment.random.random() * 0.001)
            return answer

        return call


async def writing(app, steps=40, keys="abcdefgh"):
    for _ in range(steps):
        chance = app.environment.random
        await app.dispatch(Deposit(chance.choice(keys), chance.randint(1, 9)))
        await app.environment.sleep(chance.random() * 0.01)


def test_under_load_nothing_is_found_where_nothing_is_wrong(bank_of, monkeypatch):
    monkeypatch.setattr(comparing, "PAGE", 3)

    async def main(environment):
        async with App("bank", BANK, environment=environment) as app:
            bank, rounds = bank_of(app), 0
            bank.store = Yielding(bank.store, environment)
            clients = [asyncio.create_task(writing(app)) for _ in range(3)]
            while not all(one.done() for one in clients):
                found = await bank.drift.verify(most_rows=environment.random.choice([3, 100]))
                assert found.differences == ()
                rounds += 1
            await asyncio.gather(*clients)
            await app.settle(60)
            assert (await bank.drift.verify()).rows == 8
            return rounds

    assert min(for_each_seed(main, SEEDS)) > 3


def test_f35_under_load_exactly_the_wrong_rows_are_found_and_mended(bank_of, monkeypatch):
    monkeypatch.setattr(comparing, "PAGE", 3)

    async def main(environment):
        async with App("bank", BANK, environment=environment) as app:
            bank, chance = bank_of(app), environment.random
            for account in "abcdefgh":
                await app.dispatch(Deposit(account, 1))
            await app.settle(60)
            plain, bank.store = bank.store, Yielding(bank.store, environment)
            # h and what nobody deposits to stand still, a is moved by every batch
            strange = [Row("h", 8, Balance("h", 7)), Row("x", 3, Balance("x", 1))]
            at = await plain.checkpoint("balances")
            await plain.apply([Change("balances", at.position, at.position, strange)])
            clients = [asyncio.create_task(writing(app, keys="aaab")) for _ in range(3)]
            for _ in range(3):
                found = await bank.drift.verify()
                assert [one.key for one in found.differences] == ["h", "x"]
            await environment.sleep(chance.random() * 0.1)
            done = await bank.drift.repair("balances", ["h", "x", "a"])
            assert (done.written, done.deleted, done.ok) == (("h",), ("x",), True)
            await asyncio.gather(*clients)
            assert (await bank.drift.verify()).ok
            await app.settle(60)
            found = await bank.drift.verify()
            assert (found.ok, found.rows, found.compared[0].position) == (True, 8, 128)

    for_each_seed(main, SEEDS)


class Parking:
    """Moves a projection, parks events by chance with those that follow, and retries them."""

    def __init__(self, bank, store, environment):
        self.retried = 0
        self._bank = bank
        self._store = store
        self._chance = environment.random
        self._subscription = Subscription(bank.app.log, bank.app.parts.registry, bank.plan.steps)

    async def move(self):
        at = (await self._store.checkpoint("balances")).position
        delivery = await self._subscription.deliver(at, self._chance.randint(1, 4))
        lanes = {one.key for one in await self._store.parked("balances")}
        parked = []
        for one in delivery.envelopes:
            key = one.event.account_id
            if key in lanes or self._chance.random() < 0.2:
                because = "follows" if key in lanes else "failed"
                parked.append(Parked(key, one.position, one.stream, one.type, because))
                lanes.add(key)
        batch = Batch(self._bank.plan, delivery.envelopes, at, delivery.upto, Omitted(parked))
        loaded = await self._store.load("balances", batch.keys)
        await self._store.apply([batch.change(loaded.rows)._replace(parked=parked)])

    async def retry(self):
        entries = await self._store.parked("balances")
        if not entries:
            return
        key = self._chance.choice(entries).key
        mine = [one for one in entries if one.key == key]
        loaded = await self._store.load("balances", [key])
        envelopes = []
        for one in mine:
            delivery = await self._subscription.deliver(one.position - 1, 1)
            envelopes += delivery.envelopes
        batch = Batch(self._bank.plan, envelopes, loaded.checkpoint, loaded.checkpoint)
        await self._store.apply([batch.change(loaded.rows)._replace(unparked=mine)])
        self.retried += 1


def test_under_load_with_parking_and_retries_nothing_is_found_where_nothing_is_wrong(
    bank_of, monkeypatch
):
    monkeypatch.setattr(comparing, "PAGE", 3)

    async def main(environment):
        app = App("bank", BANK, environment=environment)
        await app.open(projections=False)
        bank, chance = bank_of(app), environment.random
        parking = Parking(bank, bank.store, environment)
        bank.store = Yielding(bank.store, environment)

        async def moving():
            while not all(one.done() for one in clients):
                await environment.sleep(chance.random() * 0.006)
                if chance.random() < 0.3:
                    await parking.retry()
                else:
                    await parking.move()

        clients = [asyncio.create_task(writing(app, steps=80)) for _ in range(3)]
        mover, rounds = asyncio.create_task(moving()), 0
        while not mover.done():
            found = await bank.drift.verify(most_rows=environment.random.choice([3, 100]))
            assert found.differences == ()
            rounds += 1
        await mover
        assert rounds > 1
        assert (await bank.drift.verify()).ok
        # Now something is wrong.
        row = (await bank.store.load("balances", ["a"])).rows["a"]
        at = (await bank.store.checkpoint("balances")).position
        await bank.store.apply([Change("balances", at, at, [row._replace(value=Balance("a", -1))])])
        assert [one.key for one in (await bank.drift.verify()).differences] == ["a"]
        assert (await bank.drift.repair("balances", ["a"])).ok
        assert (await bank.store.load("balances", ["a"])).rows["a"] == row
        await app.close()
        return parking.retried

    assert sum(for_each_seed(main, SEEDS)) > len(SEEDS)


def test_a_reset_in_the_middle_is_said_or_the_rows_are_right(bank_of, monkeypatch):
    monkeypatch.setattr(comparing, "PAGE", 3)

    async def main(environment):
        async with App("bank", BANK, environment=environment) as app:
            bank, said = bank_of(app), 0
            plain, bank.store = bank.store, Yielding(bank.store, environment)
            clients = [asyncio.create_task(writing(app)) for _ in range(3)]
            while not all(one.done() for one in clients):
                checking = asyncio.create_task(bank.drift.verify())
                await environment.sleep(environment.random.random() * 0.02)
                await plain.reset(bank.plan.table)
                (found,) = await asyncio.gather(checking, return_exceptions=True)
                if isinstance(found, CheckpointMoved):
                    assert "it was reset, rebuilt or restored" in str(found)
                    said += 1
                else:
                    assert found.differences == ()
            await asyncio.gather(*clients)
            return said

    assert sum(for_each_seed(main, SEEDS)) > 0


def test_what_the_runner_parks_and_a_retry_brings_back_is_not_called_wrong(bank_of, monkeypatch):
    monkeypatch.setattr(comparing, "PAGE", 3)
    broken = True

    class Picky(Projection[Balance]):
        def deposited(self, row: Balance, event: Deposited) -> None:
            row.balance += event.amount
            if broken and event.amount == 7:
                raise ValueError("seven")

    async def main(environment):
        nonlocal broken
        broken = True
        async with App("bank", [Account, Picky], environment=environment) as app:
            bank = bank_of(app, Picky)
            plain, bank.store = bank.store, Yielding(bank.store, environment)
            writers = [asyncio.create_task(writing(app)) for _ in range(3)]
            retried = 0

            async def retrying():
                nonlocal broken, retried
                await environment.sleep(0.1)
                broken = False
                while not all(one.done() for one in writers):
                    await environment.sleep(environment.random.random() * 0.05)
                    async with held(plain, "picky", environment, "a retry") as epoch:
                        retry = Retry(app.log, app.parts.registry, plain, bank.plan, epoch=epoch)
                        await retry.run(waiting_of(await plain.parked("picky")))
                        retried += sum(one.folded for one in retry.done.values())

            retries, parked = asyncio.create_task(retrying()), 0
            while not retries.done():
                parked = max(parked, len(await plain.parked("picky")))
                assert (await bank.drift.verify()).differences == ()
            await retries
            await asyncio.gather(*writers)
            await app.settle(60)
            found = await bank.drift.verify()
            assert (found.ok, found.rows) == (True, 8)
            return parked and retried

    assert sum(bool(one) for one in for_each_seed(main, SEEDS)) > len(SEEDS) / 2
