"""Comparing for ever, slowly."""

from __future__ import annotations

import asyncio

import pytest
from banking import BANK, Balance, Balances, Deposit

from diptych import App
from diptych.errors import StoreUnavailable
from diptych.operations.drift import refold
from diptych.queries.read_store import Row
from diptych.testing import run_seeded

SEEDS = range(5)
PACE = {"events_per_s": 100, "rows_per_s": 10, "rest_s": 5, "idle_s": 60}


async def until(environment, condition, within_s=1_000):
    deadline = environment.monotonic_s() + within_s
    while not condition():
        assert environment.monotonic_s() < deadline, "it did not come about"
        await environment.sleep(0.05)


def on_a_patrol(bank_of, story, **pace):
    """Run `story(bank, patrol, found)` for several seeds, in virtual time."""

    async def main(environment):
        async with App("bank", BANK, environment=environment) as app:
            bank, found = bank_of(app), []
            for number in range(20):
                await app.dispatch(Deposit(f"k{number}", 1))
            await app.settle(60)
            async with bank.drift.patrol(found.append, **{**PACE, **pace}) as patrol:
                await story(bank, patrol, found)

    for seed in SEEDS:
        run_seeded(main, seed)


def test_a_round_goes_no_faster_than_it_may(bank_of):
    async def story(bank, patrol, found):
        environment = bank.app.environment
        started = environment.monotonic_s()
        await until(environment, lambda: patrol.status.rounds == 1)
        took_s = environment.monotonic_s() - started
        assert 2.1 < took_s < 3  # 20 events at 100 a second, 20 rows at 10
        assert (patrol.status.rows, patrol.status.differences) == (20, {"balances": 0})
        assert patrol.status.last_ok_us > 0
        assert [(one.projection, one.rows) for one in found] == [("balances", 20)]

    on_a_patrol(bank_of, story)


def test_a_row_that_goes_wrong_is_found_in_the_next_round_and_the_gauge_goes_back(bank_of):
    async def story(bank, patrol, found):
        environment = bank.app.environment
        await until(environment, lambda: patrol.status.resting)
        await bank.change(rows=[Row("k3", 4, Balance("k3", 99))])
        await until(environment, lambda: patrol.status.differences == {"balances": 1})
        await until(environment, lambda: patrol.status.rounds > 1 and patrol.status.resting)
        before = patrol.status.last_ok_us
        assert [one.key for one in found[-1].differences] == ["k3"]
        await bank.drift.repair("balances", ["k3"])
        await until(environment, lambda: patrol.status.differences == {"balances": 0})
        await until(environment, lambda: patrol.status.last_ok_us > before)

    on_a_patrol(bank_of, story)


def test_a_later_round_folds_only_what_is_new(bank_of, monkeypatch):
    folded = []
    deliver = refold.Subscription.deliver

    async def watched(self, after, limit, until=None):
        folded.append(after)
        return await deliver(self, after, limit, until)

    async def story(bank, patrol, found):
        await until(bank.app.environment, lambda: patrol.status.rounds == 1)
        with monkeypatch.context() as patch:
            patch.setattr(refold.Subscription, "deliver", watched)
            folded.clear()
            await bank.app.dispatch(Deposit("k3", 1))
            await until(bank.app.environment, lambda: patrol.status.rounds == 2)
            assert found[-1].position == 21
            await bank.app.dispatch(Deposit("k3", 1))
            await until(bank.app.environment, lambda: patrol.status.rounds == 3)
            assert found[-1].position == 22
        assert min(folded) >= 20
        assert patrol.status.differences == {"balances": 0}

    on_a_patrol(bank_of, story)


def test_while_nothing_happens_it_rests_for_long_and_then_looks_again(bank_of):
    async def story(bank, patrol, found):
        environment = bank.app.environment
        await until(environment, lambda: patrol.status.rounds == 2)
        ended_s = environment.monotonic_s()
        await until(environment, lambda: patrol.status.rounds == 3)
        assert environment.monotonic_s() - ended_s > PACE["idle_s"]
        await bank.app.dispatch(Deposit("k3", 1))
        ended_s = environment.monotonic_s()
        await until(environment, lambda: patrol.status.rounds == 4)
        assert environment.monotonic_s() - ended_s < PACE["idle_s"] / 2

    on_a_patrol(bank_of, story)


def test_what_does_not_fit_into_memory_goes_portion_by_portion(bank_of):
    async def story(bank, patrol, found):
        await bank.change(deleted=["k1", "k2"])
        await until(bank.app.environment, lambda: patrol.status.rounds == 1)
        assert len(found) >= 4
        assert sum(one.rows for one in found) == 18
        assert patrol.status.differences == {"balances": 2}

    on_a_patrol(bank_of, story, most_rows=6)


def test_the_gauge_does_not_go_back_before_all_rows_were_compared_again(bank_of):
    async def story(bank, patrol, found):
        environment = bank.app.environment
        await bank.change(deleted=["k1", "k2"])
        await until(environment, lambda: patrol.status.rounds == 1)
        seen = set()

        def look():
            if patrol.status.rounds == 1:
                seen.add(patrol.status.differences["balances"])
            return patrol.status.rounds == 2

        await until(environment, look)
        assert seen == {2}

    on_a_patrol(bank_of, story, most_rows=6)


def test_after_a_rebuild_the_new_rows_are_compared(bank_of):
    async def story(bank, _, found):
        environment = bank.app.environment
        async with bank.app.drift.patrol(found.append, **PACE) as patrol:
            await until(environment, lambda: patrol.status.rounds == 1)
            await bank.app.rebuild(Balances)
            bank.plan = bank.app.sources[Balances].plan
            await bank.change(deleted=["k1"])
            await until(environment, lambda: patrol.status.differences == {"balances": 1})
            await bank.app.drift.repair("balances", ["k1"])
            await until(environment, lambda: patrol.status.differences == {"balances": 0})
            assert list(patrol._refolds) == ["balances__1"]  # the old rows are forgotten

    on_a_patrol(bank_of, story)


def test_what_fails_is_noted_and_tried_again(bank_of, monkeypatch):
    async def story(bank, patrol, found):
        environment = bank.app.environment

        async def down(*_):
            raise StoreUnavailable("down")

        with monkeypatch.context() as patch:
            patch.setattr(bank.store, "find", down)
            await until(environment, lambda: patrol.status.errors == {"balances": "down"})
            assert patrol.status.last_ok_us == 0
        await until(environment, lambda: patrol.status.last_ok_us > 0)
        assert patrol.status.errors == {}

    on_a_patrol(bank_of, story)


def test_a_rebuild_meanwhile_is_no_drift(bank_of):
    async def story(bank, patrol, found):
        environment = bank.app.environment
        await until(environment, lambda: patrol.status.resting)
        await bank.store.reset(bank.plan.table)
        await bank.app.dispatch(Deposit("k3", 1))
        await bank.app.settle(60)
        rounds = patrol.status.rounds
        await until(environment, lambda: patrol.status.rounds > rounds + 2)
        assert patrol.status.differences == {"balances": 0}
        assert patrol.status.errors == {}
        assert all(not one.differences for one in found)

    on_a_patrol(bank_of, story)


async def test_leaving_it_stops_it():
    async with App("bank", BANK) as app:
        from diptych.operations.drift.drift import Drift
        from diptych.operations.drift.refold import Ground

        source = app.sources[Balances]
        ground = Ground(app.log, app.parts.registry, app.environment)
        async with Drift(ground, lambda: [(source.plan, source.store)]).patrol():
            await asyncio.sleep(0)
            assert [one for one in asyncio.all_tasks() if one.get_name() == "patrol"]
        assert not [one for one in asyncio.all_tasks() if one.get_name() == "patrol"]


@pytest.mark.parametrize("seed", range(10))
def test_under_load_a_patrol_finds_nothing_where_nothing_is_wrong(bank_of, seed):
    async def main(environment):
        async with App("bank", BANK, environment=environment) as app:
            found = []
            patrol = bank_of(app).drift.patrol(
                found.append, events_per_s=2_000, rows_per_s=200, rest_s=0.01, idle_s=0.02
            )

            async def client(number):
                for _ in range(60):
                    await app.dispatch(Deposit(f"k{environment.random.randrange(30)}", number))
                    await environment.sleep(environment.random.random() * 0.02)

            async with patrol:
                await asyncio.gather(*(client(number) for number in range(4)))
                rounds = patrol.status.rounds
                await until(environment, lambda: patrol.status.rounds > rounds + 1)
            assert rounds > 1
            assert all(not one.differences for one in found)
            assert patrol.status.errors == {}

    run_seeded(main, seed)
