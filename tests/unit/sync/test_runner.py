"""The projection runner: in order, without a gap, and one that fails holds up nobody else."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any

import pytest
from banking import BANK, Account, Balance, Balances, Deposit, Deposited, GetBalance, Withdrawn
from poison import record

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
from diptych.sync import parking
from diptych.sync.runner import Runner
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


def runner_of(app: App, store: Any, plans: Sequence[Any]) -> Runner:
    """A runner of its own, beside the application's."""
    return Runner(app._hinge, store, plans)


async def waiting(app: App, projection: type) -> list[tuple[str, int, str]]:
    """What is parked: key, position, and why."""
    source = app.sources[projection]
    found = await source.store.parked(source.plan.name)
    return [(one.key, one.position, one.because) for one in found]


async def reaches(app: App, projection: type, position: int, within_s: float = 5) -> None:
    source = app.sources[projection]
    assert await app._freshness.wait(source, position, within_s), await app._freshness.why(source)


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
        runner = runner_of(app, app.sources[Watching].store, [app.plan_named(Watching)])
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
    await runner_of(app, kept, plans[:1]).catch_up()
    for _ in range(30):
        await app.dispatch(Deposit("a", 1))
    both = runner_of(app, kept, plans)
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


async def test_an_event_that_fails_parks_its_key_and_everything_else_goes_on():
    async with App("bank", [Account, Failing, Watching]) as app:
        for amount in (1, 2, 13, 4, 5):
            await app.dispatch(Deposit("a", amount))
        await app.dispatch(Deposit("b", 7))
        why = await stand_still(app)
        assert "failing has parked 'a' at position 3 (Deposited of Account-a)" in why
        assert "ValueError: 13, and 2 more. Retry it: diptych parked retry failing" in why
        assert await rows_of(app, Failing, "a") == Balance("a", 3)
        assert await rows_of(app, Failing, "b") == Balance("b", 7)
        assert (await rows_of(app, Watching, "all")).positions == [1, 2, 3, 4, 5, 6]
        done = await app.dispatch(Deposit("a", 6))
        await reaches(app, Failing, done.token.position)
        assert await rows_of(app, Failing, "a") == Balance("a", 3), "it follows the one that failed"
        assert await waiting(app, Failing) == [
            ("a", 3, "failed"),
            *[("a", position, "follows") for position in (4, 5, 7)],
        ]
        assert (await states_of(app))["failing"] == ("live", 7)


async def test_one_that_fails_on_the_first_event_has_written_no_row():
    async with App("bank", [Account, Failing]) as app:
        await app.dispatch(Deposit("a", 13))
        assert "parked 'a' at position 1 (Deposited" in await stand_still(app)
        assert await rows_of(app, Failing, "a") is None


async def test_who_waits_for_a_key_that_is_parked_is_told_at_once():
    async with App("bank", [*[p for p in BANK if p is not Balances], Failing]) as app:
        await app.dispatch(Deposit("a", 13))
        done = await app.dispatch(Deposit("a", 1))
        async with asyncio.timeout(5):
            with pytest.raises(StaleRead, match="ValueError"):
                await app.ask(GetBalance("a"), after=done.token, within_s=60)


@pytest.mark.parametrize("read", ["at once", "one by one"])
async def test_fifty_failures_in_a_row_stop_the_projection_and_lose_nothing(read):
    async with App("bank", [Account, Failing, Watching]) as app:
        for number in range(60):
            done = await app.dispatch(Deposit(f"a{number}", 13))
            if read == "one by one":
                await reaches(app, Watching, done.token.position)
        await reaches(app, Watching, 60)
        why = await stand_still(app)
        assert re.search(r"(5\d|60) events failed in a row and none succeeded", why), why
        state, position = (await states_of(app))["failing"]
        assert state == "failed"
        assert position < 60
        assert [one[1] for one in await waiting(app, Failing)] == list(range(1, position + 1))


async def test_a_success_between_failures_is_no_broken_projection():
    async with App("bank", [Account, Failing, Watching]) as app:
        for number in range(120):
            await app.dispatch(Deposit(f"a{number}", 13 if number % 40 else 1))
        await stand_still(app)
        assert (await states_of(app))["failing"] == ("live", 120)
        assert len(await waiting(app, Failing)) == 117


class Unkept(Projection[Balance]):
    """Rows that can be made, and that no store can keep."""

    def deposited(self, row: Balance, event: Deposited) -> None:
        row.balance = "much"  # type: ignore[assignment]


@pytest.mark.parametrize("read", ["at once", "one by one"])
async def test_rows_that_the_store_refuses_are_no_success(read):
    async with App("bank", [Account, Unkept, Watching]) as app:
        for number in range(60):
            done = await app.dispatch(Deposit(f"a{number}", 1))
            if read == "one by one":
                await reaches(app, Watching, done.token.position)
        assert "50 events failed in a row" in await stand_still(app)
        assert (await states_of(app))["unkept"] == ("failed", 49)  # each is written, or not, alone


async def test_no_more_is_parked_than_can_be_kept(monkeypatch):
    monkeypatch.setattr(parking, "MOST_PARKED", 5)
    async with App("bank", [Account, Failing, Watching]) as app:
        await app.dispatch(Deposit("a", 13))
        for _ in range(9):
            done = await app.dispatch(Deposit("a", 1))
            await reaches(app, Watching, done.token.position)
        why = await stand_still(app)
        assert "5 events are parked already" in why
        assert (await states_of(app))["failing"] == ("failed", 5)
        assert len(await waiting(app, Failing)) == 5


async def test_a_store_that_can_park_nothing_stops_only_whom_it_refuses_and_says_so():
    app = App("bank", [Account, Failing, Watching])
    await app.open(projections=False)
    for amount in (1, 13, 2):
        await app.dispatch(Deposit("a", amount))
    store = app.sources[Failing].store
    own = store.apply

    async def apply(changes: Sequence[Change]) -> None:
        if any(change.parked for change in changes):
            raise ValueError("the table of what is parked is gone")
        await own(changes)

    store.apply = apply  # type: ignore[method-assign]
    plans = [app.plan_named(Failing), app.plan_named(Watching)]
    runner = runner_of(app, store, plans)
    await runner.catch_up()
    failing, watching = runner.members
    assert (failing.state, failing.position) == ("failed", 1)
    assert "the table of what is parked is gone" in str(failing.error)
    assert (watching.state, watching.position) == ("live", 3)
    await app.close()


async def test_an_undecodable_event_that_cannot_be_parked_stops_only_who_wants_it_and_says_so():
    app = App("bank", [Account, Openings, Watching])
    await app.open(projections=False)
    bad = EventToStore("Opened", 1, b'{"account_id":7}', b'{"id":"x"}')
    await app.log.append(Append((StreamAppend("Account-b", ANY_VERSION, (bad,)),)))
    await app.dispatch(Deposit("a", 2))
    store = app.sources[Openings].store
    own = store.apply

    async def apply(changes: Sequence[Change]) -> None:
        if any(change.parked for change in changes):
            raise ValueError("the table of what is parked is gone")
        await own(changes)

    store.apply = apply  # type: ignore[method-assign]
    runner = runner_of(app, store, [app.plan_named(Openings), app.plan_named(Watching)])
    await runner.catch_up()
    openings, watching = runner.members
    assert (openings.state, openings.position) == ("failed", 0)
    assert "the table of what is parked is gone" in str(openings.error)
    assert (watching.state, watching.position) == ("live", 2)
    await app.close()


class Odd(Projection[Balance]):
    """Its rows cannot be stored."""

    def deposited(self, row: Balance, event: Deposited) -> None:
        row.balance = "much"  # type: ignore[assignment]


class Keyless(Projection[Balance]):
    """Its key function does not give keys."""

    @keyed_by(lambda event: None)
    def deposited(self, row: Balance, event: Deposited) -> None: ...


@pytest.mark.parametrize(("broken", "lane"), [(Odd, "a"), (Keyless, "Account-a")])
async def test_a_projection_that_is_broken_in_any_way_holds_up_only_itself(broken, lane):
    app = App("bank", [Account, broken, Watching])
    await app.open()
    try:
        await app.dispatch(Deposit("a", 1))
        await reaches(app, Watching, 1)
        await reaches(app, broken, 1)
        assert await waiting(app, broken) == [(lane, 1, "failed")]
    finally:
        await app.close()


async def test_an_unknown_event_type_parks_its_stream_and_is_never_skipped():
    async with App("bank", [Account, Balances, Watching]) as app:
        await app.dispatch(Deposit("a", 1))
        strange = EventToStore("FromTheFuture", 1, b"{}", b'{"id":"x"}')
        await app.log.append(Append((StreamAppend("Account-a", ANY_VERSION, (strange,)),)))
        await app.dispatch(Deposit("b", 2))
        await record(app, "Account-a", Deposited("a", 4))
        assert "FromTheFuture" in await stand_still(app)
        assert set((await states_of(app)).values()) == {("live", 4)}
        # Whether it matters nobody can say, so it waits for every projection.
        for projection in (Balances, Watching):
            assert await waiting(app, projection) == [
                ("Account-a", 2, "failed"),
                ("Account-a", 4, "follows"),
            ]
        assert await rows_of(app, Balances, "a") == Balance("a", 1)
        assert await rows_of(app, Balances, "b") == Balance("b", 2)


async def test_an_event_of_a_newer_shape_is_parked_and_never_skipped():
    async with App("bank", [Account, Balances]) as app:
        newer = EventToStore("Deposited", 2, b"{}", b'{"id":"x"}')
        await app.log.append(Append((StreamAppend("Account-a", ANY_VERSION, (newer,)),)))
        assert "newer release" in await stand_still(app)
        assert await waiting(app, Balances) == [("Account-a", 1, "failed")]


class Opened(Event):
    account_id: str


class Openings(Projection[Balance]):
    def opened(self, row: Balance, event: Opened) -> None:
        row.balance += 1


async def test_an_event_that_cannot_be_read_is_parked_only_for_those_who_want_it():
    async with App("bank", [Account, Openings, Watching]) as app:
        await app.dispatch(Deposit("a", 1))
        bad = EventToStore("Opened", 1, b'{"account_id":7}', b'{"id":"x"}')
        await app.log.append(Append((StreamAppend("Account-b", ANY_VERSION, (bad,)),)))
        await app.dispatch(Deposit("a", 2))
        await reaches(app, Watching, 3)
        await reaches(app, Openings, 3)
        assert await waiting(app, Openings) == [("Account-b", 2, "failed")]
        assert await waiting(app, Watching) == []


async def test_rows_made_by_another_version_are_not_added_to():
    async with App("bank", BANK) as app:
        store = app.sources[Balances].store
        plan = app.plan_named(Balances)
        await app.dispatch(Deposit("a", 1))
        await app.settle()
        rows = store._rows("balances")  # type: ignore[attr-defined]
        rows.made_for = "older"
        runner = runner_of(app, store, [plan])
        await runner.find_checkpoints()
        assert runner.members[0].state == "changed"
        assert not runner.members[0].runs
        assert (await app.status())[0].state == "changed"


async def test_a_checkpoint_beyond_the_log_is_found():
    app = await App("bank", [Account, Balances]).open(projections=False)
    store = app.sources[Balances].store
    await store.apply([Change("balances", 0, 7)])
    runner = runner_of(app, store, [app.plan_named(Balances)])
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


@pytest.mark.parametrize("method", ["apply", "load", "checkpoints", "swap_leases"])
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
        rival = asyncio.create_task(runner_of(app, store, [plan]).run())
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
            task = asyncio.current_task()
            if task is not None and task.get_name().startswith("projections of"):
                pauses.append(seconds)  # and not those of who tends the leases
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
    slow, quick = (runner_of(app, store, [plan]) for _ in range(2))
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
    began_us = environment.time_us()
    await app.dispatch(Deposit("a", 1))
    environment.advance(30)
    await app.dispatch(Deposit("a", 1))
    (one,) = await app.status()
    assert (one.name, one.mode, one.state) == ("balances", "async", "stopped")
    assert (one.position, one.head, one.lag_events) == (0, 2, 2)
    assert 30 <= one.delay_s <= (environment.time_us() - began_us) / 1e6
    await app.rebuild(Balances)
    (one,) = await app.status()
    assert (one.position, one.lag_events, one.delay_s) == (2, 0, 0.0)
    await app.close()


async def test_an_event_that_another_process_has_got_over_is_forgotten():
    app = await App("bank", [Account, Failing]).open(projections=False)
    for amount in (1, 13, 2):
        await app.dispatch(Deposit("a", amount))
    store = app.sources[Failing].store
    old = runner_of(app, store, [app.plan_named(Failing)])
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
    Faulty(app.sources[Balances].store, "checkpoints", [RuntimeError("strange")] * 9)
    await app.open()
    try:
        done = await app.dispatch(Deposit("a", 1))
        with pytest.raises(StaleRead, match="strange"):
            await app.ask(GetBalance("a"), after=done.token, within_s=0.2)
    finally:
        await app.close()


@pytest.mark.parametrize("rebuilt", ["in place", "beside"])
async def test_rows_of_another_log_are_noticed_and_rebuilt(tmp_path, rebuilt):
    """The log was thrown away, the read store was not; the new log is longer than the old one."""

    def bank(log: str) -> App:
        rows = f"sqlite:///{tmp_path}/rows.db"
        return App("bank", [*BANK], write=f"sqlite:///{tmp_path}/{log}.db", read=rows)

    async with bank("first") as app:
        await app.dispatch(Deposit("a", 1))
        await app.settle()
    async with bank("second") as app:
        for _ in range(5):
            done = await app.dispatch(Deposit("a", 10))
        with pytest.raises(StaleRead, match="made of another log"):
            await app.ask(GetBalance("a"), after=done, within_s=5)
    async with bank("second") as app:
        await app.rebuild(Balances, in_place=rebuilt == "in place")
    async with bank("second") as app:
        assert (await app.ask(GetBalance("a"), after=done, within_s=5)).balance == 50
        done = await app.dispatch(Deposit("a", 10))
        assert (await app.ask(GetBalance("a"), after=done, within_s=5)).balance == 60
        assert (await app.verify(projections=[Balances])).ok
