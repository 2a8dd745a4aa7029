"""The projection runner: in order, without a gap, and one that fails holds up nobody else."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from banking import BANK, Account, Balance, Balances, Deposit, Deposited, GetBalance, Withdrawn

from diptych import App, Envelope, Event, Projection, ReadModel, keyed_by
from diptych.environment import Environment
from diptych.errors import (
    CheckpointMoved,
    LogRestored,
    StaleRead,
    StoreUnavailable,
)
from diptych.events.log import ANY_VERSION, Append, EventToStore, StreamAppend
from diptych.queries.read_store import Change, Row
from diptych.testing import for_each_seed


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


async def reaches(app: App, projection: type, position: int, within_s: float = 5) -> None:
    source = app.sources[projection]
    assert await app._freshness.wait(source, position, within_s), app._freshness.why(source)


async def stand_still(app: App) -> str:
    """Wait until nothing moves any more; why not everything has arrived."""
    with pytest.raises(StaleRead) as failed:
        await app.settle(2)
    return str(failed.value)


def test_catching_up_hands_over_to_live_without_a_gap_whatever_the_interleaving():
    async def main(environment: Environment) -> None:
        app = App("bank", [Account, Watching], environment=environment)
        await app.open(projections=False)
        for _ in range(20):
            await app.dispatch(Deposit("a", 1))
        runner = app._panels._runner(app.sources[Watching].store, [app.plan_named(Watching)])
        task = asyncio.create_task(runner.run())

        async def write() -> None:
            for _ in range(20):
                await app.dispatch(Deposit("a", 1))
                await environment.sleep(environment.random.random() * 0.02)

        await asyncio.gather(write(), write())
        while (await rows_of(app, Watching, "all") or Seen("")).positions[-1:] != [60]:
            await environment.sleep(0.01)
        assert (await rows_of(app, Watching, "all")).positions == list(range(1, 61))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await app.close()

    for_each_seed(main, range(15))


async def test_projections_that_are_behind_catch_up_and_meet_the_others():
    app = App("bank", [Account, Balances, Watching])
    await app.open(projections=False)
    for _ in range(30):
        await app.dispatch(Deposit("a", 1))
    kept = app.sources[Balances].store
    plans = [app.plan_named(Balances), app.plan_named(Watching)]
    await app._panels._runner(kept, plans[:1]).catch_up()
    for _ in range(30):
        await app.dispatch(Deposit("a", 1))
    both = app._panels._runner(kept, plans)
    applied: list[list[tuple[str, int, int]]] = []
    apply = kept.apply

    async def watched(changes: Sequence[Change]) -> None:
        applied.append([(one.projection, one.after, one.upto) for one in changes])
        await apply(changes)

    kept.apply = watched  # type: ignore[method-assign]
    await both.catch_up()
    assert applied == [
        [("watching", 0, 30)],
        [("balances", 30, 60), ("watching", 30, 60)],
    ]
    assert (await rows_of(app, Watching, "all")).positions == list(range(1, 61))
    await app.close()


async def test_one_that_fails_stands_before_its_event_and_the_others_go_on():
    async with App("bank", [Account, Failing, Watching]) as app:
        for amount in (1, 2, 13, 4, 5):
            await app.dispatch(Deposit("a", amount))
        why = await stand_still(app)
        assert "failing stands at position 2 before Deposited of Account-a" in why
        assert "ValueError('13')" in why
        assert await rows_of(app, Failing, "a") == Balance("a", 3)
        await reaches(app, Watching, 5)
        assert (await rows_of(app, Watching, "all")).positions == [1, 2, 3, 4, 5]
        await app.dispatch(Deposit("a", 6))
        await reaches(app, Watching, 6)
        assert (await states_of(app))["failing"] == ("failed", 2)


async def test_one_that_fails_on_the_first_event_has_written_nothing():
    async with App("bank", [Account, Failing]) as app:
        await app.dispatch(Deposit("a", 13))
        assert "position 0 before Deposited" in await stand_still(app)
        assert await rows_of(app, Failing, "a") is None


async def test_who_waits_for_one_that_failed_is_told_at_once():
    async with App("bank", [*[p for p in BANK if p is not Balances], Failing]) as app:
        await app.dispatch(Deposit("a", 13))
        done = await app.dispatch(Deposit("a", 1))
        async with asyncio.timeout(5):
            with pytest.raises(StaleRead, match="ValueError"):
                await app.ask(GetBalance("a"), after=done.token, within_s=60)


class Odd(Projection[Balance]):
    """Its rows cannot be stored."""

    def deposited(self, row: Balance, event: Deposited) -> None:
        row.balance = "much"  # type: ignore[assignment]


class Keyless(Projection[Balance]):
    """Its key function does not give keys."""

    @keyed_by(lambda event: None)
    def deposited(self, row: Balance, event: Deposited) -> None: ...


@pytest.mark.parametrize("broken", [Odd, Keyless])
async def test_a_projection_that_is_broken_in_any_way_holds_up_only_itself(broken):
    app = App("bank", [Account, broken, Watching])
    await app.open()
    try:
        await app.dispatch(Deposit("a", 1))
        await reaches(app, Watching, 1, within_s=0.5)
        assert "failed" in str(await app.status())
    finally:
        for task in app._panels._tasks:
            task.cancel()
        await asyncio.gather(*app._panels._tasks, return_exceptions=True)
        app._panels._tasks.clear()
        await app.close()


async def test_an_unknown_event_type_stops_and_is_never_skipped():
    async with App("bank", [Account, Balances, Watching]) as app:
        await app.dispatch(Deposit("a", 1))
        strange = EventToStore("FromTheFuture", 1, b"{}", b'{"id":"x"}')
        await app.log.append(Append((StreamAppend("Other-1", ANY_VERSION, (strange,)),)))
        await app.dispatch(Deposit("a", 2))
        why = await stand_still(app)
        assert "FromTheFuture" in why
        assert {position for _, position in (await states_of(app)).values()} == {1}


async def test_an_event_of_a_newer_shape_stops_and_is_never_skipped():
    async with App("bank", [Account, Balances]) as app:
        newer = EventToStore("Deposited", 2, b"{}", b'{"id":"x"}')
        await app.log.append(Append((StreamAppend("Account-a", ANY_VERSION, (newer,)),)))
        assert "newer release" in await stand_still(app)


class Opened(Event):
    account_id: str


class Openings(Projection[Balance]):
    def opened(self, row: Balance, event: Opened) -> None:
        row.balance += 1


async def test_an_event_that_cannot_be_read_stops_only_those_who_want_it():
    async with App("bank", [Account, Openings, Watching]) as app:
        await app.dispatch(Deposit("a", 1))
        bad = EventToStore("Opened", 1, b'{"account_id":7}', b'{"id":"x"}')
        await app.log.append(Append((StreamAppend("Account-b", ANY_VERSION, (bad,)),)))
        await app.dispatch(Deposit("a", 2))
        await reaches(app, Watching, 3)
        assert (await states_of(app))["openings"] == ("failed", 1)


async def test_rows_made_by_another_version_are_not_added_to():
    async with App("bank", BANK) as app:
        store = app.sources[Balances].store
        plan = app.plan_named(Balances)
        await app.dispatch(Deposit("a", 1))
        await app.settle()
        rows = store._rows("balances")  # type: ignore[attr-defined]
        rows.made_for = "older"
        runner = app._panels._runner(store, [plan])
        await runner.find_checkpoints()
        assert runner.members[0].state == "changed"
        assert not runner.members[0].runs
        assert (await app.status())[0].state == "changed"


async def test_a_checkpoint_beyond_the_log_is_found():
    app = await App("bank", [Account, Balances]).open(projections=False)
    store = app.sources[Balances].store
    await store.apply([Change("balances", 0, 7)])
    runner = app._panels._runner(store, [app.plan_named(Balances)])
    await runner.find_checkpoints()
    assert runner.members[0].state == "failed"
    error = runner.members[0].error
    assert isinstance(error, LogRestored)
    assert (error.checkpoint, error.head) == (7, 0)
    await app.close()


class Faulty:
    """Fails the next calls of one method of a store, then works again."""

    def __init__(self, store: Any, method: str, errors: list[BaseException]) -> None:
        self.calls = 0
        self._own = getattr(store, method)
        self._errors = errors
        setattr(store, method, self)

    async def __call__(self, *arguments: Any) -> Any:
        self.calls += 1
        if self._errors:
            raise self._errors.pop(0)
        return await self._own(*arguments)


@pytest.mark.parametrize("method", ["apply", "load", "checkpoint"])
def test_a_store_that_fails_for_a_while_is_tried_again(method):
    async def main(environment: Environment) -> None:
        app = App("bank", BANK, environment=environment)
        errors: list[BaseException] = [StoreUnavailable(f"down {n}") for n in range(8)]
        faulty = Faulty(app.sources[Balances].store, method, errors)
        await app.open()
        for _ in range(5):
            await app.dispatch(Deposit("a", 1))
        await app.settle(within_s=600)
        assert faulty.calls > 8
        assert await app.ask(GetBalance("a")) == Balance("a", 5)
        assert (await app.status())[0].why == ""
        await app.close()

    for_each_seed(main, range(5))


def test_a_log_that_fails_for_a_while_is_read_again():
    async def main(environment: Environment) -> None:
        app = App("bank", BANK, environment=environment)
        await app.open()
        await app.dispatch(Deposit("a", 1))
        await app.settle()
        errors: list[BaseException] = [StoreUnavailable(f"down {n}") for n in range(4)]
        Faulty(app.log, "read", errors)
        await app.dispatch(Deposit("a", 1))
        await app.settle(within_s=600)
        assert await app.ask(GetBalance("a")) == Balance("a", 2)
        await app.close()

    for_each_seed(main, range(5))


def test_a_runner_that_is_overtaken_reads_again_and_repeats_nothing():
    async def main(environment: Environment) -> None:
        app = App("bank", [Account, Watching], environment=environment)
        await app.open()
        store, plan = app.sources[Watching].store, app.plan_named(Watching)
        rival = asyncio.create_task(app._panels._runner(store, [plan]).run())
        for _ in range(40):
            await app.dispatch(Deposit("a", 1))
            await environment.sleep(environment.random.random() * 0.01)
        while (await store.checkpoint("watching")).position < 40:
            await environment.sleep(0.01)
        assert (await rows_of(app, Watching, "all")).positions == list(range(1, 41))
        rival.cancel()
        await asyncio.gather(rival, return_exceptions=True)
        await app.close()

    for_each_seed(main, range(20))


def test_the_pause_after_a_failure_begins_short_again_after_a_success():
    pauses: list[float] = []

    async def main(environment: Environment) -> None:
        sleep = environment.sleep

        async def noted(seconds: float) -> None:
            pauses.append(seconds)
            await sleep(seconds)

        environment.sleep = noted  # type: ignore[method-assign]
        app = App("bank", BANK, environment=environment)
        await app.open()
        errors: list[BaseException] = []
        Faulty(app.sources[Balances].store, "apply", errors)
        for outage in range(2):
            errors += [StoreUnavailable("down") for _ in range(7)]
            await app.dispatch(Deposit("a", outage + 1))
            await app.settle(within_s=600)
        await app.close()

    for_each_seed(main, range(1))
    assert pauses[7] < 0.1, "the first pause of the second outage"


async def test_a_checkpoint_that_moved_fences_the_slower_runner():
    app = await App("bank", BANK).open(projections=False)
    await app.dispatch(Deposit("a", 1))
    store, plan = app.sources[Balances].store, app.plan_named(Balances)
    slow, quick = (app._panels._runner(store, [plan]) for _ in range(2))
    await slow.find_checkpoints()
    await quick.catch_up()
    with pytest.raises(CheckpointMoved):
        await slow.step(1)
    assert await rows_of(app, Balances, "a") == Balance("a", 1)
    await app.close()


async def test_status_says_what_is_behind_and_for_how_long():
    environment = Environment.seeded(1)
    app = App("bank", BANK, environment=environment)
    await app.open(projections=False)
    await app.dispatch(Deposit("a", 1))
    environment.advance(30)
    await app.dispatch(Deposit("a", 1))
    (one,) = await app.status()
    assert (one.name, one.mode, one.state) == ("balances", "async", "stopped")
    assert (one.position, one.head, one.lag_events) == (0, 2, 2)
    assert one.delay_s == pytest.approx(30)
    await app.rebuild(Balances)
    (one,) = await app.status()
    assert (one.position, one.lag_events, one.delay_s) == (2, 0, 0.0)
    await app.close()


async def test_an_event_that_another_process_has_got_over_is_forgotten():
    app = await App("bank", [Account, Failing]).open(projections=False)
    for amount in (1, 13, 2):
        await app.dispatch(Deposit("a", amount))
    store = app.sources[Failing].store
    old = app._panels._runner(store, [app.plan_named(Failing)])
    await old.find_checkpoints()
    folding = asyncio.create_task(old.step(3))
    await asyncio.sleep(0)  # it has met its event, and written nothing yet
    newer = Change("failing", 0, 3, [Row("a", 3, Balance("a", 16))])
    await store.apply([newer])  # what a newer release makes of all three
    with pytest.raises(CheckpointMoved):
        await folding
    await app.dispatch(Deposit("a", 4))
    await old.catch_up()
    assert old.members[0].runs, old.members[0].error
    assert await rows_of(app, Failing, "a") == Balance("a", 20)
    await app.close()


async def test_who_waits_for_a_runner_that_died_is_told_why():
    app = App("bank", BANK)
    Faulty(app.sources[Balances].store, "checkpoint", [RuntimeError("strange")])
    await app.open()
    try:
        done = await app.dispatch(Deposit("a", 1))
        with pytest.raises(StaleRead, match="strange"):
            await app.ask(GetBalance("a"), after=done.token, within_s=0.2)
    finally:
        await app.close()
