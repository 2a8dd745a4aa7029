"""What every projection should keep to, tried with many histories that nobody wrote."""

from __future__ import annotations

import contextlib
import copy
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from diptych.errors import ConfigurationError, ProjectionFailed
from diptych.messages.registry import place_of
from diptych.queries.fold import Batch
from diptych.queries.projection import Plan, Projection, SqlProjection, plan_of
from diptych.queries.read_store import Row
from diptych.testing.difference import indented
from diptych.testing.folding import Folded
from diptych.testing.other_process import (
    Answer,
    can_be_loaded,
    other_processes,
    unsteady_elsewhere,
)
from diptych.testing.recording import Recorded, bare, codec_of, envelopes_of
from diptych.testing.source import scenario_source
from diptych.testing.statements import Stated
from diptych.testing.steadiness import renewed, unsteady_rows, unsteady_statements

if TYPE_CHECKING:
    from diptych.testing.histories import Histories
    from diptych.testing.values import Strategy

__all__ = ["UnsteadyProjection", "properties"]

Elsewhere = Callable[[Sequence[Any]], list[Answer]]


class UnsteadyProjection(AssertionError):
    """A projection does not keep to what every projection should.

    `finding` is the sentence that says how, `source` a scenario that shows it (Python, to be pasted
    into a test), `seed` what `properties` found it with.
    """

    def __init__(self, finding: str, source: str, seed: int) -> None:
        super().__init__(finding, source, seed)
        self.finding = finding
        self.source = source
        self.seed = seed

    def __str__(self) -> str:
        shown = [f"    {line}" if line else "" for line in self.source.splitlines()]
        return "\n".join(
            [self.finding, "", "As a test:", "", *shown, "", f"Found with seed={self.seed}."]
        )


def properties(
    projection: type[Projection[Any] | SqlProjection],
    *,
    events: Mapping[type, Strategy] | None = None,
    histories: Histories = None,
    may_raise: bool = True,
    examples: int = 100,
    longest: int = 12,
    another_process: bool | None = None,
    seed: int | None = None,
) -> None:
    """Make up histories of events that a projection folds, and look whether its rows are steady.

    ```python
    def test_cart_pages() -> None:
        properties(CartPages)
    ```

    Every history must give the same rows however it is cut into batches; the same when it is folded
    a second time, by a new object, and in another process; the same after restarts at each
    checkpoint, deliveries that come twice, and commits that failed; and the same in every order
    that is the same order for each key. No event may be changed, and each row must stand under its
    own key and survive being stored. Of a SqlProjection all that is asked, but for other orders:
    own SQL may add up over all keys.

    `events` are Hypothesis strategies for events that cannot be made up from the types of their
    fields; `histories` is a strategy of lists of events, or a function that makes a possible
    history of any list (leaves some out, sorts). An event on which the projection raises is left
    out, as if it had never been recorded, unless `may_raise` is False: then it is a finding.
    `examples` histories of up to `longest` events are tried. `another_process` True insists on one,
    False does without, None takes one where the projection's module can be loaded there.

    Raises UnsteadyProjection, an AssertionError, with the shortest history found, as a scenario and
    with the seed that finds it again; AssertionError when an event was left out every time;
    ConfigurationError for what is no projection, and where Hypothesis is missing (the extra
    `testing`).
    """
    if not _is_projection(projection):
        raise ConfigurationError(
            f"{place_of(projection)} is no projection. Name a Projection or a SqlProjection."
        )
    plan = plan_of(projection)
    try:
        from diptych.testing import trying  # noqa: PLC0415  Hypothesis is an extra
        from diptych.testing.histories import histories_of  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        raise ConfigurationError(
            "properties makes up histories with Hypothesis, which is not installed. Install "
            "diptych[testing]."
        ) from error
    drawn = histories_of(plan, histories, events or {}, longest)
    seed = secrets.randbits(32) if seed is None else seed
    wanted = can_be_loaded(projection) if another_process is None else another_process
    with other_processes(projection) if wanted else contextlib.nullcontext() as elsewhere:
        trial = _Trial(plan, elsewhere, may_raise=may_raise, seed=seed)
        trying.try_each(drawn, trial.check, examples, seed)
    trial.check_worth()


def _is_projection(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, Projection | SqlProjection)


class _Trial:
    """One projection on trial with one history after another."""

    def __init__(
        self, plan: Plan, elsewhere: Elsewhere | None, *, may_raise: bool, seed: int
    ) -> None:
        self._plan = plan
        self._elsewhere = elsewhere
        self._may_raise = may_raise
        self._seed = seed
        self._folded: Counter[type] = Counter()
        self._refused: dict[type, ProjectionFailed] = {}

    def check(self, history: Sequence[Any]) -> None:
        """Raise UnsteadyProjection when the rows of a history are not steady."""
        events = self._acceptable(history)
        wrong = None
        try:
            wrong = self._wrong(events)
        except ProjectionFailed as error:
            self._fail(f"{self._plan.name} raises on what it has folded before: {error}", events)
        except AssertionError as error:
            self._fail(str(error), events)
        if wrong:
            what, lines = wrong
            story = [f"{self._plan.name} {what}.", "", *indented("given", events), ""]
            self._fail("\n".join([*story, *(f"  {line}" for line in lines)]), events)

    def check_worth(self) -> None:
        """Raise AssertionError for events of which none was ever folded: nothing was tried."""
        never = [error for cls, error in self._refused.items() if not self._folded[cls]]
        if never:
            raise AssertionError(
                f"{self._plan.name} raised each time on events of "
                f"{', '.join(sorted({one.event_type for one in never}))}, so nothing was learned "
                f"about them: {never[0]} Say which histories are possible: properties(..., "
                f"histories=..., events=...). Seed {self._seed}."
            )
        if not self._folded:
            raise AssertionError(
                f"no history held an event that {self._plan.name} folds: look at histories=."
            )

    def _wrong(self, events: Sequence[Any]) -> tuple[str, list[str]] | None:
        # A new object each time: what one keeps must not hide what the next one would show.
        plan = renewed(self._plan)
        if plan.shape is None:
            Stated(plan, events)
            wrong = unsteady_statements(plan, events)
        else:
            wrong = unsteady_rows(plan, events, Folded(plan, events).rows)
        if wrong is None and self._elsewhere is not None:
            wrong = unsteady_elsewhere(renewed(plan), events, self._elsewhere)
        return wrong

    def _acceptable(self, history: Sequence[Any]) -> list[Any]:
        """The events that are folded without raising, when those that raise are left out."""
        plan = renewed(self._plan)
        taken: list[Any] = []
        rows: dict[str, Row] = {}
        for event in history:
            cls = type(bare([event])[0])
            try:
                self._fold_one(plan, [*taken, _copy(event)], rows)
            except ProjectionFailed as error:
                if not self._may_raise:
                    self._fail(str(error), [*taken, event], last="")
                self._refused.setdefault(cls, error)
            else:
                taken.append(event)
                self._folded[cls] += cls in plan.steps
        return taken

    def _fold_one(self, plan: Plan, events: Sequence[Any], rows: dict[str, Row]) -> None:
        """Fold the last of the events into the rows, or leave them alone and raise."""
        at = len(events)
        batch = Batch(plan, envelopes_of(events)[-1:], at - 1, at)
        change = batch.change({key: copy.deepcopy(rows[key]) for key in batch.keys if key in rows})
        rows.update({row.key: row for row in change.rows})
        for key in change.deleted:
            rows.pop(key, None)

    def _fail(self, finding: str, events: Sequence[Any], last: str = ".then_steady()") -> None:
        source = scenario_source(self._plan.projection, events, last)
        raise UnsteadyProjection(finding, source, self._seed)


def _copy(event: Any) -> Any:
    """The same event once more, so that whoever changes it does not change the one that is kept."""
    if isinstance(event, Recorded):
        return Recorded(_copy(event.event), event.at, event.stream, event.actor, event.tenant)
    codec = codec_of(type(event))
    return codec.decode(codec.encode(event))
