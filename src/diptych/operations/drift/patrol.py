"""Read models compared with the log for ever, in the background, so slowly that nobody notices."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec

from diptych.errors import DiptychError, StoreError
from diptych.operations.drift.comparing import compare_rows
from diptych.operations.drift.judging import judge
from diptych.operations.drift.pace import Pace
from diptych.operations.drift.portioned import Folded, Portioned
from diptych.operations.drift.refold import Ground, Refold
from diptych.operations.drift.results import Difference, name_of
from diptych.operations.drift.tables import compare_tables
from diptych.operations.drift.verifying import Kept
from diptych.queries.projection import Plan
from diptych.queries.read_store import ReadStore

__all__ = ["Patrol", "PatrolFound", "PatrolPace", "PatrolStatus"]

_log = logging.getLogger("diptych")


class PatrolPace(NamedTuple):
    """How fast a patrol goes, and how much memory it may use.

    `rest_s` passes between two rounds; while nothing is appended, up to `idle_s`, for rows are
    changed by hand then, too. `most_rows` are in memory at once: what fits is kept from one round
    to the next, so that only new events are folded.
    """

    events_per_s: float = 20_000
    rows_per_s: float = 5_000
    rest_s: float = 10
    idle_s: float = 600
    most_rows: int = 100_000


class PatrolFound(msgspec.Struct, frozen=True):
    """What a patrol found when it had compared one portion of a projection's rows."""

    projection: str
    rows: int
    position: int
    differences: tuple[Difference, ...] = ()


class PatrolStatus(msgspec.Struct, frozen=True):
    """How a patrol stands.

    `differences` counts, for each projection, the wrong rows found when all of its rows were last
    compared, or so far this time if these are more: the gauge to watch. `last_ok_us` is when a
    round last ended without any (microseconds since 1970; 0: never), `rows` is what was
    compared in all, `errors` says what could not be compared, and why.
    """

    rounds: int = 0
    last_ok_us: int = 0
    rows: int = 0
    differences: dict[str, int] = {}
    errors: dict[str, str] = {}
    resting: bool = False


class Patrol:
    """Compares portion after portion, round after round; see Drift.patrol.

    `async with` runs it as a task; or await `run`.
    """

    def __init__(
        self,
        ground: Ground,
        kept: Callable[[], Sequence[Kept]],
        pace: PatrolPace,
        report: Callable[[PatrolFound], None] | None = None,
    ) -> None:
        self._ground = ground
        self._kept = kept
        self._pace = pace
        self._events = Pace(ground.environment, pace.events_per_s)
        self._rows = Pace(ground.environment, pace.rows_per_s)
        self._report = report
        self._status = PatrolStatus()
        self._refolds: dict[str, Refold] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def status(self) -> PatrolStatus:
        """How it stands now."""
        return self._status

    async def run(self) -> None:
        """Compare for ever, until cancelled. What fails is noted, and tried again next round."""
        before = -1
        while True:
            head = await self._head()
            await self._round()
            self._note(resting=True)
            await self._rest(head, quiet=head == before)
            self._note(resting=False)
            before = head

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.run(), name="patrol")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _round(self) -> None:
        errors: dict[str, str] = {}
        wrong: Counter[str] = Counter()
        kept = self._kept()
        there = {plan.name for plan, _ in kept}
        self._refolds = {name: one for name, one in self._refolds.items() if name in there}
        for plan, store in kept:
            name = name_of(plan)
            try:
                async for found in self._compare(plan, store):
                    wrong[name] += len(found.differences)
                    self._tell(found, wrong[name])
            except Exception as error:  # noqa: BLE001  a patrol must outlive what it meets
                errors[name] = error.message if isinstance(error, DiptychError) else repr(error)
                _log.warning("the patrol could not compare %s: %s", name, errors[name])
            else:
                self._note(differences={**self._status.differences, name: wrong[name]})
        ok = not errors and not wrong.total()
        self._note(
            rounds=self._status.rounds + 1,
            errors=errors,
            last_ok_us=self._ground.environment.time_us() if ok else self._status.last_ok_us,
        )

    async def _compare(self, plan: Plan, store: ReadStore) -> AsyncIterator[PatrolFound]:
        if plan.shape is None:
            compared, wrong = await compare_tables(self._ground, plan, store, self._events)
            await self._rows.spend(compared.rows)
            yield PatrolFound(name_of(plan), compared.rows, compared.position, tuple(wrong))
            return
        async for refold, wanted in self._folded(plan, store):
            found = await compare_rows(refold, wanted, self._rows)
            wrong = await judge(self._ground, plan, store, found.doubts, self._events)
            yield PatrolFound(name_of(plan), found.rows, refold.at, tuple(wrong))

    async def _folded(self, plan: Plan, store: ReadStore) -> AsyncIterator[Folded]:
        kept = self._refolds.pop(plan.name, None)
        room = self._pace.most_rows - sum(len(one.rows) for one in self._refolds.values())
        if kept is not None and len(kept.rows) <= room and not kept.disturbed:
            yield Folded(kept, None)
            self._refolds[plan.name] = kept
            return
        portioned = Portioned(
            self._ground, plan, store, await store.count(plan.name), self._pace.most_rows
        )
        portioned.pace = self._events
        while portioned.passes:
            folded = await portioned.fold_next()
            yield folded
            if folded.wanted is None and len(folded.refold.rows) <= room:
                self._refolds[plan.name] = folded.refold

    def _tell(self, found: PatrolFound, wrong: int) -> None:
        gauge = self._status.differences
        self._note(
            rows=self._status.rows + found.rows,
            differences={**gauge, found.projection: max(wrong, gauge.get(found.projection, 0))},
        )
        if self._report is not None:
            self._report(found)

    def _note(self, **facts: Any) -> None:
        self._status = msgspec.structs.replace(self._status, **facts)

    async def _head(self) -> int:
        try:
            return await self._ground.log.head()
        except StoreError:
            return -1  # whatever was known of it; the next round says what is wrong

    async def _rest(self, head: int, *, quiet: bool) -> None:
        """Until the next round: not long, but long while nothing happens."""
        environment, rest_s = self._ground.environment, self._pace.rest_s
        started = environment.monotonic_s()
        await environment.sleep(rest_s)
        while quiet and environment.monotonic_s() - started < self._pace.idle_s:
            if await self._head() != head:
                return
            await environment.sleep(rest_s)
