"""One history after another, drawn from a seed and shrunk when one fails.

Needs Hypothesis (the extra `testing`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis
from hypothesis.errors import Flaky, Unsatisfiable

from diptych.errors import ConfigurationError
from diptych.testing.values import Strategy

__all__ = ["try_each"]


def try_each(drawn: Strategy, check: Callable[[Any], None], examples: int, seed: int) -> None:
    """Call `check` with values that the seed draws; raise what it raises on the simplest one.

    What fails once and never again has failed all the same. Raises ConfigurationError when nothing
    can be drawn.
    """
    failures: list[AssertionError] = []

    def attempt(value: Any) -> None:
        try:
            check(value)
        except AssertionError as error:
            failures.append(error)
            raise

    settings = hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        print_blob=False,
        verbosity=hypothesis.Verbosity.quiet,
        phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    try:
        hypothesis.seed(seed)(settings(hypothesis.given(drawn)(attempt)))()
    except Flaky:
        if not failures:
            raise
        simplest = min(failures, key=lambda one: len(str(one)))
        simplest.add_note(
            "The same history did not fail again in this process: something outside the rows "
            "remembers that it has been folded."
        )
        raise simplest from None
    except Unsatisfiable as error:
        raise ConfigurationError(
            f"no history could be made up ({error}). Say how to make the events: "
            "properties(..., events={TheEvent: a strategy}), or loosen histories=."
        ) from error
