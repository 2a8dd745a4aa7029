"""Load, decide, append: state, cache, snapshots, conflicts."""

import asyncio

import pytest
from banking import (
    BANK,
    Account,
    Deposit,
    Deposited,
    InsufficientFunds,
    Withdraw,
    Withdrawn,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from diptych import Aggregate, App, Command, Environment, Event, Rejection
from diptych.commands.aggregate import decider_of
from diptych.commands.cache import StateCache, StreamGate
from diptych.commands.repository import Held
from diptych.errors import ConfigurationError, VersionConflict
from diptych.events.log import Append, Snapshot
from diptych.testing import run_seeded


async def test_an_answer_says_where_the_stream_stands():
    async with App("bank", BANK) as app:
        first = await app.dispatch(Deposit("a", 1))
        second = await app.dispatch(Deposit("a", 1))
        assert (first.stream, first.version, first.token.position) == ("Account-a", 1, 1)
        assert (second.stream, second.version, second.token.position) == ("Account-a", 2, 2)
        assert not second.repeated


async def test_who_and_why_are_recorded_with_the_events():
    async with App("bank", BANK, environment=Environment.seeded(1)) as app:
        await app.dispatch(
            Deposit("a", 1), actor="ann", tenant="t1", correlation_id="c", causation_id="b"
        )
        await app.dispatch(Deposit("a", 1))
        stored = await app.log.read(0, 10)
    assert b'"act":"ann"' in stored[0].meta
    assert b'"ten":"t1"' in stored[0].meta
    assert b'"cor":"c"' in stored[0].meta
    assert b"act" not in stored[1].meta


async def test_the_message_that_led_to_a_command_is_recorded_as_its_cause():
    async with App("bank", BANK) as app:
        await app.dispatch(Deposit("a", 1), causation_id="event-7")
        assert b"event-7" in (await app.log.read(0, 10))[0].meta


async def test_a_handler_that_raises_leaves_log_and_state_as_they_were():
    class Blow(Command):
        account_id: str

    class Blown(Event):
        account_id: str

    class Fuse(Aggregate, key="account_id"):
        count: int = 0

        def blow(self, command: Blow) -> Blown:
            if command.account_id == "bad":
                raise ZeroDivisionError("boom")
            return Blown(command.account_id)

        def blown(self, event: Blown) -> None:
            self.count += 1
            if self.count > 1:
                raise OSError("evolve failed")

    async with App("fuses", [Fuse]) as app:
        with pytest.raises(ZeroDivisionError):
            await app.dispatch(Blow("bad"))
        await app.dispatch(Blow("a"))
        for _ in range(2):
            with pytest.raises(OSError, match="evolve failed"):
                await app.dispatch(Blow("a"))
        assert await app.log.head() == 1
        assert (await app.load(Fuse, "a")).count == 1


async def test_an_old_version_of_the_state_can_be_loaded():
    async with App("bank", BANK) as app:
        for amount in (1, 2, 3):
            await app.dispatch(Deposit("a", amount))
        assert [(await app.load(Account, "a", version=v)).balance for v in range(5)] == [
            0,
            1,
            3,
            6,
            6,
        ]
        with pytest.raises(ConfigurationError, match="no aggregate or decider"):
            await app.load(Deposit, "a")


async def test_expected_version_refuses_what_has_moved_on():
    async with App("bank", BANK) as app:
        await app.dispatch(Deposit("a", 1), expected_version=0)
        with pytest.raises(VersionConflict) as failed:
            await app.dispatch(Deposit("a", 1), expected_version=0)
        assert (failed.value.stream, failed.value.expected, failed.value.actual) == (
            "Account-a",
            0,
            1,
        )
        await app.dispatch(Deposit("a", 1), expected_version=1)
        with pytest.raises(VersionConflict):
            await app.dispatch(Deposit("a", 1), expected_version=7)


# -- two applications on one log: what another process does ---------------------------------------


async def test_what_another_app_appended_is_seen_by_the_next_decision(on_one_log):
    one, other = on_one_log("one", BANK), on_one_log("other", BANK)
    await one.dispatch(Deposit("a", 100))
    await other.dispatch(Withdraw("a", 100))
    with pytest.raises(InsufficientFunds) as failed:
        await one.dispatch(Withdraw("a", 1))
    assert failed.value.missing == 1
    await one.dispatch(Deposit("a", 5))
    assert (await other.dispatch(Withdraw("a", 5))).version == 4
    await one.close()
    await other.close()


async def test_a_rejection_decided_on_a_stale_cache_is_decided_again(on_one_log):
    one, other = on_one_log("one", BANK), on_one_log("other", BANK)
    await one.dispatch(Deposit("a", 1))
    await other.dispatch(Deposit("a", 99))
    done = await one.dispatch(Withdraw("a", 100))
    assert done.events == (Withdrawn("a", 100),)
    assert done.version == 3
    await one.close()
    await other.close()


async def test_nothing_to_do_decided_on_a_stale_cache_is_decided_again(on_one_log):
    class Set(Command):
        name: str
        value: int

    class WasSet(Event):
        name: str
        value: int

    class Knob(Aggregate, key="name"):
        value: int = 0

        def set(self, command: Set) -> WasSet | None:
            return None if command.value == self.value else WasSet(command.name, command.value)

        def was_set(self, event: WasSet) -> None:
            self.value = event.value

    one, other = on_one_log("one", [Knob]), on_one_log("other", [Knob])
    await one.dispatch(Set("k", 1))
    await other.dispatch(Set("k", 2))
    assert (await one.dispatch(Set("k", 1))).events == (WasSet("k", 1),)
    await one.close()
    await other.close()


async def test_an_expected_version_is_compared_with_the_log_and_not_with_a_stale_cache(on_one_log):
    one, other = on_one_log("one", BANK), on_one_log("other", BANK)
    await one.dispatch(Deposit("a", 1))
    await other.dispatch(Deposit("a", 1))
    done = await one.dispatch(Deposit("a", 1), expected_version=2)
    assert done.version == 3


async def test_two_apps_that_race_for_one_stream_lose_nothing(on_one_log):
    apps = [on_one_log(f"app {n}", BANK) for n in range(3)]
    await asyncio.gather(*(app.dispatch(Deposit("a", 1)) for app in apps for _ in range(20)))
    assert (await apps[0].load(Account, "a")).balance == 60
    assert await apps[0].log.head() == 60
    for app in apps:
        await app.close()


# -- state-stored and event-sourced ----------------------------------------------------------------

amounts = st.integers(-3, 12)
commands = st.lists(
    st.builds(Deposit, st.sampled_from("ab"), amounts)
    | st.builds(Withdraw, st.sampled_from("ab"), amounts),
    max_size=25,
)


@given(commands, st.sampled_from([0, 1, 10_000]))
@settings(max_examples=60)
def test_stored_as_state_or_as_events_gives_the_same_answers(todo, cached_states):
    async def answers(environment: Environment, **options) -> list:
        async with App(
            "bank", [Account], environment=environment, cached_states=cached_states, **options
        ) as app:
            found: list = []
            for command in todo:
                try:
                    done = await app.dispatch(command)
                    found.append((done.events, done.version, done.token.position))
                except Rejection as rejection:
                    found.append((type(rejection), rejection.message, rejection.facts))
            found += [await app.load(Account, key) for key in "ab"]
            return found

    as_events = run_seeded(answers, 1)
    as_state = run_seeded(lambda world: answers(world, state_stored=[Account]), 1)
    assert as_state == as_events


async def test_old_versions_of_what_is_stored_as_state_are_folded_from_its_events():
    async with App("bank", BANK, state_stored=[Account]) as app:
        for amount in (1, 2, 3):
            await app.dispatch(Deposit("a", amount))
        found = [(await app.load(Account, "a", version=v)).balance for v in range(4)]
        assert found == [0, 1, 3, 6]


async def test_what_was_stored_as_state_can_be_stored_as_events_from_now_on(on_one_log):
    one = on_one_log("one", BANK, state_stored=[Account])
    await one.dispatch(Deposit("a", 5))
    other = on_one_log("other", BANK)
    assert (await other.dispatch(Withdraw("a", 5))).version == 2


async def test_what_was_stored_as_events_can_be_stored_as_state_from_now_on(on_one_log):
    one = on_one_log("one", BANK)
    await one.dispatch(Deposit("a", 5))
    other = on_one_log("other", BANK, state_stored=[Account])
    assert (await other.load(Account, "a")).balance == 5
    assert (await other.dispatch(Withdraw("a", 5))).version == 2


# -- snapshots -------------------------------------------------------------------------------------


def snapping(every: int, version: int) -> type[Aggregate]:
    class Counter(Aggregate, key="account_id", snapshot_every=every, snapshot_version=version):
        balance: int = 0

        def deposit(self, command: Deposit) -> list[Deposited]:
            return [Deposited(command.account_id, 1)] * command.amount

        def deposited(self, event: Deposited) -> None:
            self.balance += event.amount

    return Counter


async def test_a_snapshot_is_kept_whenever_a_stream_has_grown_enough(on_one_log):
    Counter = snapping(3, 1)  # noqa: N806  a class
    app = on_one_log("app", [Counter], cached_states=0)
    versions = []
    for amount in (1, 1, 1, 1, 4, 1):
        await app.dispatch(Deposit("a", amount))
        found = await app.log.snapshot("Counter-a")
        versions.append(found.version if found else 0)
    assert versions == [0, 0, 3, 3, 8, 9]
    assert (await app.load(Counter, "a")).balance == 9


async def test_a_snapshot_of_another_shape_is_not_used(on_one_log):
    app = on_one_log("app", [snapping(1, 1)])
    await app.dispatch(Deposit("a", 2))
    schema = decider_of(snapping(1, 1)).snapshot_schema()
    wrong = Snapshot("Counter-a", 2, schema, b'{"balance":1000}')
    await app.log.append(Append(snapshots=(wrong,)))
    New = snapping(1, 2)  # noqa: N806  a class
    newer = on_one_log("newer", [New])
    assert (await newer.load(New, "a")).balance == 2
    Same = snapping(1, 1)  # noqa: N806  a class
    assert (await on_one_log("same", [Same]).load(Same, "a")).balance == 1000


async def test_a_snapshot_that_cannot_be_read_is_not_used(on_one_log):
    Counter = snapping(1, 1)  # noqa: N806  a class
    app = on_one_log("app", [Counter])
    await app.dispatch(Deposit("a", 2))
    schema = decider_of(Counter).snapshot_schema()
    wrong = Snapshot("Counter-a", 2, schema, b'{"balance":"x"}')
    await app.log.append(Append(snapshots=(wrong,)))
    assert (await on_one_log("other", [Counter]).load(Counter, "a")).balance == 2


async def test_state_of_another_shape_is_folded_from_its_events_once_more(on_one_log):
    Old, New = snapping(1, 1), snapping(1, 2)  # noqa: N806  classes
    await on_one_log("old", [Old], state_stored=[Old]).dispatch(Deposit("a", 2))
    new = on_one_log("new", [New], state_stored=[New])
    assert (await new.load(New, "a")).balance == 2
    assert (await new.dispatch(Deposit("a", 1))).version == 3
    assert (await new.log.snapshot("Counter-a")).schema == decider_of(New).snapshot_schema()


async def test_a_stream_that_grew_while_it_was_not_stored_as_state_is_caught_up(on_one_log):
    as_state = on_one_log("state", BANK, state_stored=[Account])
    await as_state.dispatch(Deposit("a", 5))
    as_events = on_one_log("events", BANK)
    await as_events.dispatch(Deposit("a", 6))
    again = on_one_log("again", BANK, state_stored=[Account])
    assert (await again.load(Account, "a")).balance == 11
    assert (await again.dispatch(Withdraw("a", 11))).version == 3


# -- cache and gate --------------------------------------------------------------------------------


def test_the_cache_keeps_the_states_used_last_and_no_more():
    cache = StateCache(2)
    for name in "abc":
        cache.put(name, Held(name, 1))
    assert cache.take("a") is None
    assert cache.take("b") == Held("b", 1)
    assert cache.take("b") is None
    assert len(cache) == 1


def test_a_cache_of_none_keeps_none():
    cache = StateCache(0)
    cache.put("a", Held(1, 1))
    assert len(cache) == 0


async def test_the_gate_lets_commands_pass_in_order_one_at_a_time():
    gate, seen = StreamGate(), []

    async def pass_through(number: int) -> None:
        await gate.enter("a")
        seen.append(number)
        await asyncio.sleep(0)
        seen.append(number)
        gate.leave("a")

    await asyncio.gather(*(pass_through(number) for number in range(5)))
    assert seen == [n for number in range(5) for n in (number, number)]
    assert gate._inside == {}


async def test_streams_do_not_wait_for_each_other():
    gate = StreamGate()
    await gate.enter("a")
    await asyncio.wait_for(gate.enter("b"), 1)


@pytest.mark.parametrize("moment", ["while waiting", "when its turn has come"])
async def test_who_is_cancelled_at_the_gate_holds_up_nobody(moment):
    gate, seen = StreamGate(), []

    async def pass_through(name: str) -> None:
        await gate.enter("a")
        seen.append(name)
        gate.leave("a")

    await gate.enter("a")
    first = asyncio.create_task(pass_through("first"))
    second = asyncio.create_task(pass_through("second"))
    await asyncio.sleep(0)
    if moment == "when its turn has come":
        gate.leave("a")
        first.cancel()
    else:
        first.cancel()
        await asyncio.sleep(0)
        gate.leave("a")
    await asyncio.wait([first, second], timeout=1)
    assert first.cancelled()
    assert seen == ["second"]
    assert gate._inside == {}


async def test_a_cancelled_dispatch_leaves_the_next_ones_right():
    async with App("bank", BANK) as app:
        await app.dispatch(Deposit("a", 1))
        tasks = [asyncio.create_task(app.dispatch(Deposit("a", 1))) for _ in range(10)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await app.dispatch(Deposit("a", 1))
        events = await app.log.read_stream("Account-a")
        assert (await app.load(Account, "a")).balance == len(events)
