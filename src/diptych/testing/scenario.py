"""Given, when, then: what a write model decides, a projection shows, an application does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, overload

from diptych.application import App
from diptych.commands.aggregate import Aggregate, decider_of
from diptych.commands.decider import Decider
from diptych.environment import Environment
from diptych.errors import ConfigurationError
from diptych.messages.registry import place_of
from diptych.queries.projection import Projection, SqlProjection, plan_of
from diptych.testing.deciding import DecisionScenario
from diptych.testing.folding import FoldScenario
from diptych.testing.statements import StatementScenario
from diptych.testing.whole_path import PathScenario

__all__ = ["scenario"]


@overload
def scenario(subject: type[Aggregate] | Decider[Any]) -> DecisionScenario: ...


@overload
def scenario(subject: type[Projection[Any]]) -> FoldScenario: ...


@overload
def scenario(subject: type[SqlProjection]) -> StatementScenario: ...


@overload
def scenario(
    subject: App | Iterable[Any], *, seed: int = ..., within_s: float = ...
) -> PathScenario: ...


def scenario(subject: Any, *, seed: int = 0, within_s: float = 5.0) -> Any:
    """Begin a scenario about an aggregate or decider, a projection, or a whole application.

    >>> from diptych import Aggregate, Command, Event, Projection, ReadModel, Rejection
    >>> class Withdraw(Command):
    ...     account_id: str
    ...     amount: int
    >>> class Deposited(Event):
    ...     account_id: str
    ...     amount: int
    >>> class Withdrawn(Event):
    ...     account_id: str
    ...     amount: int
    >>> class Account(Aggregate, key="account_id"):
    ...     balance: int = 0
    ...
    ...     def withdraw(self, command: Withdraw) -> Withdrawn:
    ...         if command.amount > self.balance:
    ...             raise Rejection(
    ...                 "insufficient funds", missing=command.amount - self.balance
    ...             )
    ...         return Withdrawn(command.account_id, command.amount)
    ...
    ...     def deposited(self, event: Deposited) -> None:
    ...         self.balance += event.amount
    ...
    ...     def withdrawn(self, event: Withdrawn) -> None:
    ...         self.balance -= event.amount
    >>> past = scenario(Account).given(Deposited("a", 100))
    >>> past.when(Withdraw("a", 30)).then(Withdrawn("a", 30)).and_state(balance=70)
    >>> past.when(Withdraw("a", 500)).then_rejected("insufficient funds", missing=400)

    A projection has rows instead of a decision:

    >>> class Balance(ReadModel, key="account_id"):
    ...     account_id: str
    ...     balance: int = 0
    >>> class Balances(Projection[Balance]):
    ...     def deposited(self, row: Balance, event: Deposited) -> None:
    ...         row.balance += event.amount
    >>> _ = (
    ...     scenario(Balances)
    ...     .given(Deposited("a", 100))
    ...     .then(Balance("a", 100))
    ...     .then_no_row("b")
    ... )

    The whole path is awaited. Its subject is an App with an empty log, or a list of parts, which
    are then put together on memory:// in an environment seeded with `seed`:

    ```python
    async with scenario([Account, Balances, get_balance]) as bank:
        await (
            bank.given(Deposit("a", 100))
            .when(Withdraw("a", 30))
            .then(Withdrawn("a", 30))
        )
        await bank.ask(GetBalance("a")).gives(Balance("a", 70))
    ```

    A step that fails raises AssertionError, which tells what was expected and what was, field by
    field. Raises ConfigurationError for a subject that could not work in an application either.
    """
    if isinstance(subject, Decider):
        return DecisionScenario(subject)
    if isinstance(subject, App):
        return PathScenario(subject, within_s=within_s)
    if isinstance(subject, type):
        return _of_class(subject)
    if isinstance(subject, Iterable):
        app = App("scenario", subject, environment=Environment.seeded(seed))
        return PathScenario(app, within_s=within_s)
    raise _no_subject(subject)


def _of_class(subject: type) -> Any:
    if issubclass(subject, Aggregate):
        return DecisionScenario(decider_of(subject))
    if issubclass(subject, Projection):
        return FoldScenario(plan_of(subject))
    if issubclass(subject, SqlProjection):
        return StatementScenario(plan_of(subject))
    raise _no_subject(subject)


def _no_subject(subject: Any) -> ConfigurationError:
    return ConfigurationError(
        f"there is no scenario about {place_of(subject)}. Name an aggregate, a decider, a "
        "projection, an App, or a list of parts."
    )
