"""What must be true of every history: one promise per file, each a function of what happened.

A checker takes a History and yields one sentence for each time that a promise was broken. Those
that need more than clients have seen find nothing in a history that has only that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from diptych.messages.registry import Registry
from diptych.queries.projection import Plan
from diptych.testing.simulation.checkers.acknowledged import acknowledged_is_there
from diptych.testing.simulation.checkers.checkpoints import (
    checkpoints_pass_nothing,
    inline_is_never_behind,
)
from diptych.testing.simulation.checkers.effect_once import effect_once, same_answer
from diptych.testing.simulation.checkers.fences import fences_hold, leases_are_taken_in_turn
from diptych.testing.simulation.checkers.generations import (
    nobody_goes_back,
    one_is_served,
    switches_are_level,
)
from diptych.testing.simulation.checkers.honest import errors_are_honest
from diptych.testing.simulation.checkers.noticed import nothing_was_noticed
from diptych.testing.simulation.checkers.parked import parked_is_kept
from diptych.testing.simulation.checkers.rows import rows_are_the_fold
from diptych.testing.simulation.checkers.streams import no_lost_update, streams_are_gap_free
from diptych.testing.simulation.checkers.tokens import tokens_are_honoured
from diptych.testing.simulation.history import History

__all__ = ["CHECKERS", "broken_promises", "rows_are_the_fold"]

Checker = Callable[[History], Iterator[str]]

CHECKERS: dict[Checker, str] = {
    nothing_was_noticed: "R12",
    acknowledged_is_there: "R1",
    inline_is_never_behind: "R2",
    effect_once: "R3",
    same_answer: "R3",
    no_lost_update: "R4",
    streams_are_gap_free: "R5",
    checkpoints_pass_nothing: "R6",
    fences_hold: "R8",
    leases_are_taken_in_turn: "R8",
    parked_is_kept: "R9",
    tokens_are_honoured: "R10",
    one_is_served: "R11",
    switches_are_level: "R11",
    nobody_goes_back: "R11",
    errors_are_honest: "R13",
}
"""Every checker that needs a history alone, with the promise it is about."""


def broken_promises(
    history: History, registry: Registry | None = None, plans: Mapping[str, Plan] | None = None
) -> list[str]:
    """What all checkers find, each sentence with its promise.

    With `registry` and `plans`, rows are checked, too.

    >>> broken_promises(History())
    []
    """
    found = [
        f"{promise} {checker.__name__}: {said}"
        for checker, promise in CHECKERS.items()
        for said in checker(history)
    ]
    if registry is not None and plans is not None:
        said = rows_are_the_fold(history, registry, plans)
        found += [f"R7 rows_are_the_fold: {one}" for one in said]
    return found
