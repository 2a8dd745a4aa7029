"""The same id gets the first answer again, whatever it was."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from banking import (
    BANK,
    Account,
    Deposit,
    Deposited,
    GetBalance,
    InsufficientFunds,
    Transfer,
    Withdraw,
)

from diptych import Aggregate, App, Command, Event, Rejection, UnitOfWork
from diptych.errors import CommandIdReused, VersionConflict


async def test_f16_the_same_id_has_one_effect_and_one_answer():
    async with App("bank", BANK) as app:
        first = await app.dispatch(Deposit("a", 100), id="x1")
        await app.dispatch(Deposit("a", 1))
        again = await app.dispatch(Deposit("a", 100), id="x1")
        assert again.repeated
        assert not first.repeated
        assert (again.token, again.events, again.stream, again.version) == (
            first.token,
            first.events,
            first.stream,
            first.version,
        )
        assert (await app.ask(GetBalance("a"), after=again.token)).balance >= 100
        assert (await app.load(Account, "a")).balance == 101


async def test_a_repeated_answer_leaves_the_state_right_for_the_next_command():
    async with App("bank", BANK) as app:
        for _ in range(3):
            await app.dispatch(Deposit("a", 100), id="x1")
        with pytest.raises(InsufficientFunds) as failed:
            await app.dispatch(Withdraw("a", 101))
        assert failed.value.missing == 1


async def test_a_rejection_is_the_same_rejection_again_even_when_it_would_be_accepted_now():
    async with App("bank", BANK) as app:
        with pytest.raises(InsufficientFunds):
            await app.dispatch(Withdraw("a", 30), id="w1")
        await app.dispatch(Deposit("a", 100))
        with pytest.raises(InsufficientFunds, match="insufficient funds") as again:
            await app.dispatch(Withdraw("a", 30), id="w1")
        assert type(again.value) is InsufficientFunds
        assert again.value.missing == 30
        assert again.value.code == "insufficient_funds"


async def test_an_acceptance_is_the_same_again_even_when_it_would_be_rejected_now():
    async with App("bank", BANK) as app:
        await app.dispatch(Deposit("a", 30))
        first = await app.dispatch(Withdraw("a", 30), id="w1")
        again = await app.dispatch(Withdraw("a", 30), id="w1")
        assert again.repeated
        assert again.events == first.events


async def test_f16_another_command_with_the_same_id_is_refused_and_does_nothing():
    async with App("bank", BANK) as app:
        await app.dispatch(Deposit("a", 100), id="x1")
        for other in (Deposit("a", 101), Deposit("b", 100), Withdraw("a", 100)):
            with pytest.raises(CommandIdReused) as failed:
                await app.dispatch(other, id="x1")
            assert failed.value.command_id == "x1"
        assert await app.log.head() == 1


async def test_another_command_with_the_id_of_a_rejection_is_refused():
    async with App("bank", BANK) as app:
        with pytest.raises(InsufficientFunds):
            await app.dispatch(Withdraw("a", 30), id="w1")
        with pytest.raises(CommandIdReused):
            await app.dispatch(Deposit("a", 30), id="w1")
        assert await app.log.head() == 0


async def test_a_command_that_changed_nothing_is_remembered_too():
    async with App("bank", BANK) as app:
        first = await app.dispatch(Deposit("a", 0), id="n1")
        again = await app.dispatch(Deposit("a", 0), id="n1")
        assert first.token.nothing_changed
        assert again.token.nothing_changed
        assert again.repeated


@pytest.mark.parametrize("count", [2, 20])
async def test_f16_duplicates_at_the_same_time_have_one_effect(count):
    async with App("bank", BANK) as app:
        done = await asyncio.gather(
            *(app.dispatch(Deposit("a", 5), id="same") for _ in range(count))
        )
        assert sum(not one.repeated for one in done) == 1
        assert len({one.token for one in done}) == 1
        assert await app.log.head() == 1


async def test_f16_duplicates_at_the_same_time_through_a_function_have_one_effect():
    async with App("bank", BANK) as app:
        await app.dispatch(Deposit("a", 50))
        done = await asyncio.gather(
            *(app.dispatch(Transfer("a", "b", 5), id="same") for _ in range(10))
        )
        assert sum(not one.repeated for one in done) == 1
        assert (await app.load(Account, "b")).balance == 5


async def test_the_first_answer_is_given_by_every_app_on_the_log(on_one_log):
    one, other = on_one_log("one", BANK), on_one_log("other", BANK)
    first = await one.dispatch(Deposit("a", 5), id="x")
    await other.dispatch(Deposit("a", 1))
    again = await other.dispatch(Deposit("a", 5), id="x")
    assert (again.repeated, again.token) == (True, first.token)
    await other.dispatch(Deposit("a", 1))
    assert (await one.dispatch(Deposit("a", 5), id="x")).repeated
    assert (await one.load(Account, "a")).balance == 7


async def test_an_id_is_remembered_after_a_conflict_was_solved(on_one_log):
    one, other = on_one_log("one", BANK), on_one_log("other", BANK)
    await one.dispatch(Deposit("a", 5))
    await other.dispatch(Deposit("a", 5))
    done = await one.dispatch(Deposit("a", 5), id="after-conflict")
    assert (done.version, done.repeated) == (3, False)
    assert (await other.dispatch(Deposit("a", 5), id="after-conflict")).version == 3


async def test_the_first_answer_comes_again_although_the_stream_has_left_the_expected_version():
    async with App("bank", BANK) as app:
        first = await app.dispatch(Deposit("a", 5), id="x", expected_version=0)
        again = await app.dispatch(Deposit("a", 5), id="x", expected_version=0)
        assert (again.repeated, again.token) == (True, first.token)


async def test_a_conflict_is_no_answer_and_may_be_tried_again_with_the_same_id():
    async with App("bank", BANK) as app:
        with pytest.raises(VersionConflict):
            await app.dispatch(Deposit("a", 5), id="x", expected_version=4)
        assert not (await app.dispatch(Deposit("a", 5), id="x")).repeated


async def test_an_error_is_no_answer_and_may_be_tried_again_with_the_same_id():
    class Try(Command):
        name: str

    class Tried(Event):
        name: str

    outcomes = iter([OSError("first"), None])

    class Attempt(Aggregate, key="name"):
        def attempt(self, command: Try) -> Tried:
            outcome = next(outcomes)
            if outcome:
                raise outcome
            return Tried(command.name)

    async with App("attempts", [Attempt]) as app:
        with pytest.raises(OSError, match="first"):
            await app.dispatch(Try("a"), id="t")
        assert not (await app.dispatch(Try("a"), id="t")).repeated


async def test_a_function_with_an_effect_outside_is_not_called_again():
    class Send(Command):
        to: str

    sent = []

    async def send(command: Send, work: UnitOfWork) -> None:
        sent.append(command.to)

    async with App("mail", [send]) as app:
        for _ in range(3):
            await app.dispatch(Send("ann"), id="m1")
    assert sent == ["ann"]


async def test_a_rejection_by_a_function_is_remembered():
    async with App("bank", BANK) as app:
        with pytest.raises(InsufficientFunds):
            await app.dispatch(Transfer("a", "b", 5), id="t")
        await app.dispatch(Deposit("a", 50))
        with pytest.raises(InsufficientFunds) as again:
            await app.dispatch(Transfer("a", "b", 5), id="t")
        assert again.value.missing == 5


class Ask(Command):
    name: str


class Asked(Event):
    name: str


def _two_contexts() -> tuple[type[Rejection], type[Rejection]]:
    def context() -> type[Rejection]:
        class Denied(Rejection):
            pass

        return Denied

    return context(), context()


async def test_two_rejections_of_one_name_are_told_apart():
    first, second = _two_contexts()
    second.__module__ = "somewhere.else"
    second.__qualname__ = "Denied"

    class Door(Aggregate, key="name"):
        def ask(self, command: Ask) -> Asked:
            raise second("no")

    async with App("doors", [Door]) as app:
        for _ in range(2):
            with pytest.raises(second):
                await app.dispatch(Ask("a"), id="x")
    assert first is not second


async def test_a_rejection_with_its_own_constructor_comes_again():
    class Closed(Rejection):
        def __init__(self, hour: int) -> None:
            super().__init__(f"closed at {hour}", hour=hour)

    class Shop(Aggregate, key="name"):
        def ask(self, command: Ask) -> Asked:
            raise Closed(18)

    async with App("shops", [Shop]) as app:
        answers: list[Any] = []
        for _ in range(2):
            with pytest.raises(Closed) as failed:
                await app.dispatch(Ask("a"), id="x")
            answers.append((str(failed.value), failed.value.hour))
    assert answers == [("closed at 18", 18)] * 2


async def test_an_event_recorded_long_ago_comes_back_in_the_answer():
    async with App("bank", BANK) as app:
        await app.dispatch(Deposit("z", 1))
        await app.dispatch(Deposit("a", 7), id="old")
        for _ in range(5):
            await app.dispatch(Deposit("a", 1))
        assert (await app.dispatch(Deposit("a", 7), id="old")).events == (Deposited("a", 7),)


async def test_the_facts_of_a_rejection_are_the_same_plain_data_every_time():
    class Shop(Aggregate, key="name"):
        def ask(self, command: Ask) -> Asked:
            raise Rejection(
                "no", count=3, name="x", lines=["a", "b"], limits={"low": 1.5}, gone=None
            )

    async with App("shops", [Shop]) as app:
        facts = []
        for _ in range(2):
            with pytest.raises(Rejection) as failed:
                await app.dispatch(Ask("a"), id="x")
            facts.append(failed.value.facts)
    assert facts[0] == facts[1]


async def test_the_facts_of_a_rejection_keep_their_types():
    class Shop(Aggregate, key="name"):
        def ask(self, command: Ask) -> Asked:
            raise Rejection("no", price=Decimal("1.50"))

    async with App("shops", [Shop]) as app:
        facts = []
        for _ in range(2):
            with pytest.raises(Rejection) as failed:
                await app.dispatch(Ask("a"), id="x")
            facts.append(failed.value.facts)
    assert facts[0] == facts[1]
