"""Given events, when a command, then events: a write model on trial, without an event loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from diptych.commands.decider import Decider, as_events
from diptych.errors import Rejection
from diptych.testing.difference import differences, indented, picture
from diptych.testing.recording import bare, check_stored

__all__ = ["Decided", "DecisionGiven", "DecisionScenario", "DecisionWhen", "check_rejected"]


class DecisionScenario:
    """A write model before anything has happened. Say what was `given`, or a command at once."""

    def __init__(self, decider: Decider[Any]) -> None:
        self._decider = decider

    def given(self, *events: Any) -> DecisionGiven:
        """Events that have happened to it, oldest first."""
        return DecisionGiven(self._decider, bare(events))

    def when(self, command: Any) -> DecisionWhen:
        """A command to one that has no events yet."""
        return DecisionWhen(self._decider, [], command)


class DecisionGiven:
    """A write model with its past. Next: `when`."""

    def __init__(self, decider: Decider[Any], events: Sequence[Any]) -> None:
        self._decider = decider
        self._events = events

    def when(self, command: Any) -> DecisionWhen:
        """The command that is to be decided."""
        return DecisionWhen(self._decider, self._events, command)


class DecisionWhen:
    """A decision taken. Next: `then`, `then_rejected` or `then_nothing`.

    Taking it has checked what no test should have to say: the decision changed neither the state
    nor the command, it comes out the same a second time, evolving the same events gives the same
    state and leaves the events alone, and every message survives being stored.
    """

    def __init__(self, decider: Decider[Any], given: Sequence[Any], command: Any) -> None:
        self._decider = decider
        self._given = given
        self._command = command
        self._check_known()
        self._state = self._fold(given)
        self._saw = picture(self._state)
        self._outcome = self._decide_twice()

    def then(self, *events: Any) -> Decided:
        """Exactly these events follow, in this order."""
        if isinstance(self._outcome, Rejection):
            self._fail(events, f"rejected: {self._outcome}", [])
        if picture(list(events)) != picture(list(self._outcome)):
            wrong = differences(list(events), list(self._outcome), at="event")
            self._fail(events, self._outcome, wrong)
        return Decided(self._decider, self._fold([*self._given, *self._outcome]))

    def then_nothing(self) -> Decided:
        """The command is accepted and nothing follows from it."""
        return self.then()

    def then_rejected(self, *reasons: type[Rejection] | str, **facts: Any) -> None:
        """The business says no: with this class, a sentence containing this text, these facts."""
        wanted = [reason if isinstance(reason, str) else reason.__name__ for reason in reasons]
        wanted += [f"{name}={value!r}" for name, value in facts.items()]
        expected = [f"rejected: {', '.join(wanted) or 'for any reason'}"]
        if not isinstance(self._outcome, Rejection):
            self._fail(expected, self._outcome, [])
        wrong = check_rejected(self._outcome, reasons, facts)
        if wrong:
            self._fail(expected, repr(self._outcome), wrong)

    # -- what is checked without being asked for -------------------------------------------------

    def _check_known(self) -> None:
        name = self._decider.name
        if type(self._command) not in self._decider.decide:
            known = ", ".join(sorted(one.__name__ for one in self._decider.decide))
            raise AssertionError(
                f"{name} does not decide {type(self._command).__name__}; it decides {known}."
            )
        for event in self._given:
            if type(event) not in self._decider.event_types:
                known = ", ".join(sorted(one.__name__ for one in self._decider.event_types))
                raise AssertionError(
                    f"{type(event).__name__} is no event of {name}; its events are {known}."
                )

    def _fold(self, events: Sequence[Any]) -> Any:
        before = [check_stored(event) for event in events]
        state, again = self._evolved(events), self._evolved(events)
        if picture(state) != picture(again):
            self._complain(
                "evolves differently the second time: it looks at something besides its events",
                differences(state, again),
            )
        if before != [check_stored(event) for event in events]:
            self._complain(
                "changes an event while evolving: the state holds a list or dict of the event "
                "instead of a copy of it",
                [],
            )
        return state

    def _evolved(self, events: Sequence[Any]) -> Any:
        state = self._decider.initial()
        for event in events:
            state = self._decider.evolved(state, event)
            if state is None:
                self._complain(f"has no state after {event!r}: evolve must return the state", [])
        return state

    def _decide_twice(self) -> tuple[Any, ...] | Rejection:
        asked = check_stored(self._command)
        outcome = self._decide(self._state)
        changed = differences(self._saw, picture(self._state))
        if changed:
            self._complain("changes its state while deciding; only an evolution may", changed)
        again = self._decide(self._state)
        different = _compared(outcome, again)
        if different:
            self._complain(
                "decides differently the second time: it looks at something besides command and "
                "state (a clock, chance?); put what it needs to know into the command",
                different,
            )
        if asked != check_stored(self._command):
            self._complain("changes the command while deciding", [])
        return outcome

    def _decide(self, state: Any) -> tuple[Any, ...] | Rejection:
        try:
            # Not through events_of: what a decision does to its state is told better here.
            decide = self._decider.decide[type(self._command)]
            events = as_events(decide(self._command, state), decide)
        except Rejection as rejection:
            return rejection
        for event in events:
            if type(event) not in self._decider.event_types:
                self._complain(
                    f"returns a {type(event).__name__}, which no annotation names: say so where it "
                    "is decided (-> ...)",
                    [],
                )
        return events

    # -- explaining ------------------------------------------------------------------------------

    def _complain(self, what: str, lines: Sequence[str]) -> NoReturn:
        raise AssertionError(
            "\n".join([f"{self._decider.name} {what}.", "", *self._story(), *lines])
        )

    def _fail(self, expected: Sequence[Any], actual: Any, lines: Sequence[str]) -> NoReturn:
        shown = [actual] if isinstance(actual, str) else actual
        raise AssertionError(
            "\n".join(
                [
                    f"{self._decider.name} did not decide as expected.",
                    "",
                    *self._story(),
                    *indented("then", expected),
                    *indented("but", shown),
                    *(["", *(f"  {line}" for line in lines)] if lines else []),
                    "",
                    f"  the decision saw {self._state!r}",
                ]
            )
        )

    def _story(self) -> list[str]:
        return [*indented("given", self._given), *indented("when", [self._command])]


class Decided:
    """What followed was as expected. Ends here, or with `and_state`."""

    def __init__(self, decider: Decider[Any], state: Any) -> None:
        self._decider = decider
        self._state = state

    def and_state(self, expected: Any = None, /, **fields: Any) -> None:
        """Afterwards the state equals `expected`, or has these fields."""
        if expected is not None:
            wrong = differences(expected, self._state)
        else:
            found = {name: getattr(self._state, name, None) for name in fields}
            wrong = differences(fields, found)
        if wrong:
            lines = [f"  {line}" for line in wrong]
            raise AssertionError(
                "\n".join([f"{self._decider.name} is not in the expected state.", "", *lines])
            )


def check_rejected(
    actual: Rejection, reasons: Sequence[type[Rejection] | str], facts: dict[str, Any]
) -> list[str]:
    """What is wrong with a rejection, one line each."""
    wrong = []
    for reason in reasons:
        if isinstance(reason, str):
            if reason not in actual.message:
                wrong.append(f"reason: expected {reason!r}, was {actual.message!r}")
        elif not isinstance(actual, reason):
            wrong.append(f"class: expected {reason.__name__}, was {type(actual).__name__}")
    return wrong + differences(facts, {name: actual.facts.get(name) for name in facts})


def _compared(one: Any, other: Any) -> list[str]:
    if isinstance(one, Rejection) and isinstance(other, Rejection):
        return differences(
            {"class": type(one).__name__, "reason": one.message, **one.facts},
            {"class": type(other).__name__, "reason": other.message, **other.facts},
        )
    if isinstance(one, Rejection) or isinstance(other, Rejection):
        return [f"  first {one!r}, then {other!r}"]
    return differences(list(one), list(other))
