"""Several streams, or events by type and tag, decided on and written in one append."""

import asyncio

import pytest
from banking import (
    BANK,
    Account,
    Balances,
    Deposit,
    Deposited,
    InsufficientFunds,
    Transfer,
    Withdraw,
    Withdrawn,
)

from diptych import Aggregate, App, Command, Event, Rejection, UnitOfWork
from diptych.commands.handler import MAX_ATTEMPTS
from diptych.errors import (
    AppendConditionFailed,
    ConfigurationError,
    DiptychError,
    UnknownMessageType,
    VersionConflict,
)
from diptych.events.log import Append


async def test_all_streams_are_written_in_one_append():
    async with App("bank", BANK) as app:
        await app.dispatch(Deposit("a", 50))
        appends: list[Append] = []
        append = app.log.append

        async def watched(one: Append):
            appends.append(one)
            return await append(one)

        app.log.append = watched  # type: ignore[method-assign]
        done = await app.dispatch(Transfer("a", "b", 20))
        assert [stream.stream for stream in appends[0].streams] == ["Account-a", "Account-b"]
        assert len(appends) == 1
        assert done.events == (Withdrawn("a", 20), Deposited("b", 20))
        assert (done.stream, done.version) == ("Account-a", 2)
        assert done.token.position == 3


async def test_a_rejection_by_the_second_decision_takes_back_the_first():
    async with App("bank", BANK) as app:
        await app.dispatch(Deposit("a", 50))
        with pytest.raises(Rejection, match="must be positive"):
            await app.dispatch(Transfer("a", "b", -5))
        with pytest.raises(InsufficientFunds):
            await app.dispatch(Transfer("a", "b", 51))
        assert await app.log.head() == 1
        assert (await app.dispatch(Transfer("a", "b", 50))).version == 2


async def test_an_error_after_a_decision_takes_it_back():
    class Break(Command):
        account_id: str

    async def break_down(command: Break, work: UnitOfWork) -> None:
        await work.decide(Account, "a", Withdraw("a", 50))
        raise ZeroDivisionError

    async with App("bank", [*BANK, break_down]) as app:
        await app.dispatch(Deposit("a", 50))
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await app.dispatch(Break("a"))
        assert (await app.dispatch(Withdraw("a", 50))).events == (Withdrawn("a", 50),)


async def test_a_state_that_a_handler_spoils_is_spoilt_for_it_alone():
    class Spoil(Command):
        account_id: str

    async def spoil(command: Spoil, work: UnitOfWork) -> None:
        (await work.load(Account, "a")).balance = 1_000

    async with App("bank", [*BANK, spoil]) as app:
        await app.dispatch(Deposit("a", 50))
        with pytest.raises(ConfigurationError, match="changed a state"):
            await app.dispatch(Spoil("a"))
        with pytest.raises(InsufficientFunds) as failed:
            await app.dispatch(Withdraw("a", 51))
        assert failed.value.missing == 1


async def test_a_rejection_decided_on_stale_states_is_decided_again(on_one_log):
    one, other = on_one_log("one", BANK), on_one_log("other", BANK)
    await one.dispatch(Deposit("a", 10))
    await one.dispatch(Transfer("a", "b", 10))
    await other.dispatch(Deposit("a", 90))
    assert (await one.dispatch(Transfer("a", "b", 90))).version == 4
    assert (await other.load(Account, "b")).balance == 100


async def test_the_state_includes_what_was_recorded_so_far():
    class Split(Command):
        account_id: str

    seen = []

    async def split(command: Split, work: UnitOfWork) -> None:
        for amount in (1, 2):
            await work.record(Account, command.account_id, Deposited("a", amount))
            seen.append((await work.load(Account, command.account_id)).balance)

    async with App("bank", [Account, split]) as app:
        await app.dispatch(Split("a"))
        assert seen == [1, 3]
        assert (await app.load(Account, "a")).balance == 3


async def test_transfers_at_the_same_time_lose_nothing():
    async with App("bank", BANK) as app:
        await app.dispatch(Deposit("a", 100))
        await asyncio.gather(*(app.dispatch(Transfer("a", f"b{n}", 10)) for n in range(10)))
        assert (await app.load(Account, "a")).balance == 0


async def test_a_handler_is_called_again_when_a_stream_it_loaded_has_moved_on(on_one_log):
    class Slow(Command):
        account_id: str

    calls = []
    other = on_one_log("other", [Account])

    async def slow(command: Slow, work: UnitOfWork) -> None:
        before = await work.load(Account, command.account_id)
        calls.append(before.balance)
        if len(calls) == 1:
            await other.dispatch(Deposit(command.account_id, 7))
        await work.record(Account, command.account_id, Deposited(command.account_id, 1))

    app = on_one_log("app", [Account, slow])
    await app.dispatch(Slow("a"))
    assert calls == [0, 7]
    assert (await app.load(Account, "a")).balance == 8


async def test_a_stream_that_was_only_looked_at_must_stand_still_too(on_one_log):
    class Check(Command):
        account_id: str

    calls = []
    other = on_one_log("other", [Account])

    async def check(command: Check, work: UnitOfWork) -> None:
        calls.append((await work.load(Account, "watched")).balance)
        if len(calls) == 1:
            await other.dispatch(Deposit("watched", 7))
        await work.record(Account, command.account_id, Deposited(command.account_id, 1))

    app = on_one_log("app", [Account, check])
    await app.dispatch(Check("a"))
    assert calls == [0, 7]


async def test_who_is_never_first_gets_the_conflict_after_some_attempts(on_one_log):
    class Unlucky(Command):
        account_id: str

    calls = []
    other = on_one_log("other", [Account])

    async def unlucky(command: Unlucky, work: UnitOfWork) -> None:
        calls.append(await work.load(Account, "a"))
        await other.dispatch(Deposit("a", 1))
        await work.record(Account, "a", Deposited("a", 1))

    app = on_one_log("app", [Account, unlucky])
    with pytest.raises(VersionConflict):
        await app.dispatch(Unlucky("a"))
    assert len(calls) == 1 + MAX_ATTEMPTS  # once freely, then behind the turnstile


async def test_many_rivals_for_one_stream_all_get_their_turn(on_one_log):
    class Add(Command):
        account_id: str

    async def add(command: Add, work: UnitOfWork) -> None:
        await work.load(Account, command.account_id)
        await asyncio.sleep(0)
        await work.record(Account, command.account_id, Deposited(command.account_id, 1))

    app = on_one_log("app", [Account, add])
    await asyncio.gather(*(app.dispatch(Add("a")) for _ in range(200)))
    assert (await app.load(Account, "a")).balance == 200


async def test_a_record_that_was_not_awaited_is_refused(on_one_log):
    class Forget(Command):
        account_id: str

    async def forget(command: Forget, work: UnitOfWork) -> None:
        work.record(Account, command.account_id, Deposited(command.account_id, 1))

    app = on_one_log("app", [Account, forget])
    with pytest.raises(ConfigurationError, match="not awaited"):
        await app.dispatch(Forget("a"))
    assert await app.log.head() == 0


async def test_a_tag_that_no_event_carries_is_refused(on_one_log):
    class Look(Command):
        tags: list[str]

    async def look(command: Look, work: UnitOfWork) -> None:
        await work.events([Enrolled], command.tags)

    app = on_one_log("app", [Account, look, Courses])
    for tags in (["cours:c1"], ["course"], "course:c1"):
        with pytest.raises(ConfigurationError, match="tag"):
            await app.dispatch(Look(tags))  # type: ignore[arg-type]
    await app.dispatch(Look(["course:c1"]))


class Enroll(Command):
    course: str
    student: str


class Enrolled(Event, tags=("course", "student")):
    course: str
    student: str


class Courses(Aggregate, key="student"):
    """Knows the event; the decision is about a course, across the streams of students."""

    def enroll_directly(self, command: "Directly") -> Enrolled:
        return Enrolled(command.course, command.student)


class Directly(Command):
    course: str
    student: str


async def enroll(command: Enroll, work: UnitOfWork) -> None:
    taken = await work.events([Enrolled], tags=[f"course:{command.course}"])
    if len(taken) >= 2:
        raise Rejection("course is full")
    await work.record(Courses, command.student, Enrolled(command.course, command.student))


async def test_a_decision_on_types_and_tags_holds_across_streams():
    async with App("school", [Courses, enroll]) as app:
        await app.dispatch(Enroll("art", "ann"))
        await app.dispatch(Enroll("art", "bob"))
        await app.dispatch(Enroll("maths", "bob"))
        with pytest.raises(Rejection, match="full"):
            await app.dispatch(Enroll("art", "cas"))


async def test_a_limit_across_streams_holds_against_everybody_at_once():
    async with App("school", [Courses, enroll]) as app:
        outcomes = await asyncio.gather(
            *(app.dispatch(Enroll("art", f"student{n}")) for n in range(12)),
            return_exceptions=True,
        )
        assert sum(not isinstance(one, BaseException) for one in outcomes) == 2
        assert await app.log.head() == 2


async def test_an_event_that_comes_between_makes_the_handler_decide_again(on_one_log):
    calls = []
    other = on_one_log("other", [Courses])

    async def enroll_slowly(command: Enroll, work: UnitOfWork) -> None:
        calls.append(len(await work.events([Enrolled], tags=["course:art"])))
        if len(calls) == 1:
            await other.dispatch(Directly("art", "quick"))
        await work.record(Courses, command.student, Enrolled("art", command.student))

    app = on_one_log("app", [Courses, enroll_slowly])
    await app.dispatch(Enroll("art", "slow"))
    assert calls == [0, 1]


async def test_other_events_do_not_disturb(on_one_log):
    calls = []
    other = on_one_log("other", [Courses])

    async def enroll_slowly(command: Enroll, work: UnitOfWork) -> None:
        calls.append(len(await work.events([Enrolled], tags=["course:art"])))
        await other.dispatch(Directly("maths", "quick"))
        await work.record(Courses, command.student, Enrolled("art", command.student))

    app = on_one_log("app", [Courses, enroll_slowly])
    await app.dispatch(Enroll("art", "slow"))
    assert calls == [0]


async def test_the_condition_that_always_fails_is_raised_in_the_end(on_one_log):
    other = on_one_log("other", [Courses])

    async def unlucky(command: Enroll, work: UnitOfWork) -> None:
        count = len(await work.events([Enrolled]))
        await other.dispatch(Directly("art", f"quick{count}"))
        await work.record(Courses, command.student, Enrolled("art", command.student))

    app = on_one_log("app", [Courses, unlucky])
    with pytest.raises(AppendConditionFailed):
        await app.dispatch(Enroll("art", "slow"))


async def test_what_is_loaded_and_recorded_must_be_known():
    class Lost(Command):
        pass

    class Unheard(Event):
        pass

    async def load(command: Lost, work: UnitOfWork) -> None:
        await work.load(Balances, "a")

    async def record(command: Lost, work: UnitOfWork) -> None:
        await work.record(Account, "a", Unheard())

    for handler, error in ((load, ConfigurationError), (record, UnknownMessageType)):
        async with App("bank", [Account, handler]) as app:
            with pytest.raises(error):
                await app.dispatch(Lost())
            assert await app.log.head() == 0


async def test_an_expected_version_that_does_not_hold_refuses_a_function_handler_too():
    async with App("bank", BANK) as app:
        await app.dispatch(Deposit("a", 50))
        with pytest.raises(DiptychError):
            await app.dispatch(Transfer("a", "b", 5), expected_version=9)


async def test_a_rejection_decided_on_two_moments_is_decided_again(on_one_log):
    class Need(Command):
        amount: int

    other = on_one_log("other", BANK)
    calls = []

    async def need(command: Need, work: UnitOfWork) -> None:
        first = (await work.load(Account, "b")).balance
        calls.append(1)
        if len(calls) == 1:
            await other.dispatch(Transfer("a", "b", 100))
        if first + (await work.load(Account, "a")).balance < command.amount:
            raise Rejection("not enough in both together")  # at no moment true

    app = on_one_log("app", [*BANK, need])
    await app.dispatch(Deposit("a", 100))
    await app.dispatch(Need(100))


async def test_a_handler_that_changes_what_it_loaded_is_refused(on_one_log):
    class Cheat(Command):
        account_id: str

    async def cheat(command: Cheat, work: UnitOfWork) -> None:
        account = await work.load(Account, command.account_id)
        account.balance += 1000
        await work.record(Account, command.account_id, Deposited(command.account_id, 1))

    app = on_one_log("app", [Account, cheat], state_stored=[Account])
    with pytest.raises(ConfigurationError, match="changed a state"):
        await app.dispatch(Cheat("a"))
    assert (await app.load(Account, "a")).balance == 0
