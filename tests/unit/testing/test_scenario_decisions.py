"""Given events, when a command, then events: what a scenario accepts, and how it explains."""

from __future__ import annotations

import random

import pytest
from banking import Account, Balance, Deposit, Deposited, InsufficientFunds, Withdraw, Withdrawn

from diptych import Aggregate, Command, Decider, Event, Rejection
from diptych.errors import ConfigurationError
from diptych.testing import scenario


def explanation(step, *arguments, **facts) -> str:
    with pytest.raises(AssertionError) as failed:
        step(*arguments, **facts)
    return str(failed.value)


def test_events_follow_from_a_command_in_the_state_of_what_was_given():
    scenario(Account).given(Deposited("a", 100)).when(Withdraw("a", 30)).then(Withdrawn("a", 30))


def test_a_command_may_come_to_one_that_has_no_events():
    scenario(Account).when(Deposit("a", 5)).then(Deposited("a", 5)).and_state(balance=5)


def test_the_state_afterwards_can_be_compared_whole_or_by_field():
    decided = scenario(Account).given(Deposited("a", 1)).when(Deposit("a", 2))
    decided.then(Deposited("a", 2)).and_state(Account(balance=3))
    text = explanation(decided.then(Deposited("a", 2)).and_state, balance=4)
    assert "balance: expected 4, was 3" in text


def test_a_rejection_is_told_by_class_sentence_and_facts():
    when = scenario(Account).given(Deposited("a", 100)).when(Withdraw("a", 500))
    when.then_rejected()
    when.then_rejected(InsufficientFunds)
    when.then_rejected("insufficient funds")
    when.then_rejected(InsufficientFunds, "insufficient", missing=400)


def test_a_command_that_changes_nothing_is_followed_by_nothing():
    scenario(Account).when(Deposit("a", 0)).then_nothing()


def test_a_wrong_field_is_shown_with_what_the_decision_saw():
    when = scenario(Account).given(Deposited("a", 100)).when(Withdraw("a", 30))
    text = explanation(when.then, Withdrawn("a", 31))
    assert "event[0].amount: expected 31, was 30" in text
    assert "given   Deposited(account_id='a', amount=100)" in text
    assert "the decision saw Account(balance=100)" in text


def test_an_unexpected_rejection_shows_its_reason():
    when = scenario(Account).when(Withdraw("a", 30))
    assert "rejected: insufficient funds" in explanation(when.then, Withdrawn("a", 30))


def test_a_missing_rejection_shows_what_followed_instead():
    when = scenario(Account).when(Deposit("a", 30))
    text = explanation(when.then_rejected, InsufficientFunds)
    assert "rejected: InsufficientFunds" in text
    assert "but     Deposited(account_id='a', amount=30)" in text


def test_a_rejection_with_other_facts_shows_both():
    when = scenario(Account).when(Withdraw("a", 30))
    assert "missing: expected 31, was 30" in explanation(when.then_rejected, missing=31)


def test_more_events_than_expected_are_named():
    when = scenario(Account).when(Deposit("a", 30))
    assert "event[0]: not expected, was Deposited" in explanation(when.then_nothing)


def test_a_command_of_somebody_else_is_refused_with_the_known_ones():
    class Strange(Command):
        account_id: str

    text = explanation(scenario(Account).when, Strange("a"))
    assert "Account does not decide Strange; it decides Deposit, Withdraw" in text


def test_an_event_of_somebody_else_is_refused_with_the_known_ones():
    class Opened(Event):
        account_id: str

    text = explanation(scenario(Account).given(Opened("a")).when, Deposit("a", 1))
    assert "Opened is no event of Account" in text


def test_the_order_of_steps_is_in_the_types():
    start = scenario(Account)
    given = start.given()
    when = given.when(Deposit("a", 1))
    assert not hasattr(start, "then")
    assert not hasattr(given, "then")
    assert not hasattr(when, "given")
    assert not hasattr(when, "when")


class Press(Command):
    name: str


class Pressed(Event):
    name: str
    marks: list[str] = []


def test_a_decision_that_changes_its_state_is_found():
    class Button(Aggregate, key="name"):
        count: int = 0

        def press(self, command: Press) -> Pressed:
            self.count += 1
            return Pressed(command.name)

    text = explanation(scenario(Button).when, Press("b"))
    assert "changes its state while deciding" in text
    assert "count: expected 0, was 1" in text


def test_a_decision_that_asks_chance_is_found():
    class Button(Aggregate, key="name"):
        def press(self, command: Press) -> Pressed:
            return Pressed(command.name, [str(random.random())])

    assert "decides differently the second time" in explanation(scenario(Button).when, Press("b"))


def test_a_decision_that_rejects_only_sometimes_is_found():
    moods = iter([True, False, True, False])

    class Button(Aggregate, key="name"):
        def press(self, command: Press) -> Pressed:
            if next(moods):
                raise Rejection("not now")
            return Pressed(command.name)

    assert "decides differently" in explanation(scenario(Button).when, Press("b"))


def test_an_evolution_that_asks_chance_is_found():
    class Button(Aggregate, key="name"):
        luck: float = 0.0

        def press(self, command: Press) -> Pressed:
            return Pressed(command.name)

        def pressed(self, event: Pressed) -> None:
            self.luck = random.random()

    text = explanation(scenario(Button).given(Pressed("b")).when, Press("b"))
    assert "evolves differently the second time" in text


def test_an_evolution_that_changes_an_event_through_a_shared_list_is_found():
    class Button(Aggregate, key="name"):
        marks: list[str] = []

        def press(self, command: Press) -> Pressed:
            return Pressed(command.name)

        def pressed(self, event: Pressed) -> None:
            self.marks = event.marks
            self.marks.append("seen")

    text = explanation(scenario(Button).given(Pressed("b", ["x"])).when, Press("b"))
    assert "changes an event while evolving" in text or "evolves differently" in text


def test_an_event_that_no_annotation_names_is_found():
    class Released(Event):
        name: str

    class Button(Aggregate, key="name"):
        def press(self, command: Press) -> Pressed:
            return Released(command.name)

    assert "no annotation names" in explanation(scenario(Button).when, Press("b"))


def test_a_decider_of_functions_has_the_same_scenarios():
    def decide(command: Press, state: int) -> Pressed:
        if state >= 2:
            raise Rejection("worn out", presses=state)
        return Pressed(command.name)

    def evolve(state: int, event: Pressed) -> int:
        return state + 1

    button = Decider("Button", key="name", initial=int, decide=decide, evolve=evolve)
    scenario(button).when(Press("b")).then(Pressed("b")).and_state(1)
    scenario(button).given(Pressed("b"), Pressed("b")).when(Press("b")).then_rejected(presses=2)


def test_an_evolve_that_forgets_to_return_the_state_is_found():
    def decide(command: Press, state: int) -> Pressed:
        return Pressed(command.name)

    def evolve(state: int, event: Pressed) -> int: ...

    button = Decider("Button", key="name", initial=int, decide=decide, evolve=evolve)
    text = explanation(scenario(button).given(Pressed("b")).when, Press("b"))
    assert "evolve must return the state" in text


@pytest.mark.parametrize("nothing", [Balance, 7, Deposit])
def test_what_is_no_subject_is_refused(nothing):
    with pytest.raises(ConfigurationError, match="there is no scenario about"):
        scenario(nothing)
