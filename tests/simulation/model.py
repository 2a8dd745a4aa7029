"""A model of everything a projection's rows can go through, and a machine that compares a store.

The model is a page of Python without time, leases or transactions. Hypothesis makes up what is
done, does it to the model and to a log and a read store, and compares all rows, checkpoints, roles
and parked events after every step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from diptych import Aggregate, App, Command, Event, Projection, ReadModel
from diptych.errors import ConfigurationError, LeaseLost
from diptych.operations.drift.drift import Drift
from diptych.operations.drift.refold import Ground
from diptych.queries.read_store import Change, Find
from diptych.queries.standings import generation_name, generation_of
from diptych.sync.generations import of_generation
from diptych.sync.lease import Leases, held
from diptych.sync.rebuild import Rebuild
from diptych.sync.runner import Runner

__all__ = ["PARTS", "StoreAgainstModel", "with_settings"]

FIRST = "pages"
KEYS = st.sampled_from("abc")
BROKEN = [False]
"""Whether events with a number that 3 divides cannot be folded just now."""


class Note(Command):
    page_id: str
    number: int


class Noted(Event):
    page_id: str
    number: int


class Notes(Aggregate, key="page_id"):
    def note(self, command: Note) -> Noted:
        return Noted(command.page_id, command.number)


class Page(ReadModel, key="page_id"):
    page_id: str
    numbers: list[int] = []


class Pages(Projection[Page]):
    def noted(self, row: Page, event: Noted) -> None:
        row.numbers.append(event.number)
        if BROKEN[0] and event.number % 3 == 0:
            raise ValueError(f"{event.number} cannot be folded")


@dataclass
class Rows:
    """One generation in the model."""

    role: str
    at: int = 0
    rows: dict[str, list[int]] = field(default_factory=dict)
    waiting: dict[str, list[int]] = field(default_factory=dict)
    skipped: set[tuple[str, int]] = field(default_factory=set)

    def move(self, events: list[tuple[str, int]]) -> None:
        """Come to the head: fold, park, follow, leave out what was skipped."""
        for position in range(self.at + 1, len(events) + 1):
            key, number = events[position - 1]
            if (key, position) in self.skipped:
                continue
            if key in self.waiting or (BROKEN[0] and number % 3 == 0):
                self.waiting.setdefault(key, []).append(position)
            else:
                self.rows.setdefault(key, []).append(number)
        self.at = len(events)

    def retry(self, events: list[tuple[str, int]], key: str) -> None:
        """Fold what waits for a key, up to the first that fails again."""
        while waiting := self.waiting.get(key):
            number = events[waiting[0] - 1][1]
            if BROKEN[0] and number % 3 == 0:
                return
            self.rows.setdefault(key, []).append(number)
            del waiting[0]
        self.waiting.pop(key, None)

    def begin_again(self) -> None:
        """Forget everything but what was skipped."""
        self.at = 0
        self.rows, self.waiting = {}, {}


class StoreAgainstModel(RuleBasedStateMachine):
    """Derive from it, and say in `urls` which log and store an example begins with."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.events: list[tuple[str, int]] = []
        self.generations = {FIRST: Rows("served")}
        BROKEN[0] = False

    def make_app(self) -> App:
        """The application over this example's log and store; again: after a crash."""
        raise NotImplementedError

    def do(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run(coroutine)

    @initialize()
    def begin(self) -> None:
        self.open()

    def open(self) -> None:
        self.app = self.make_app()
        self.do(self.app.open(projections=False))
        source = self.app.sources[Pages]
        self.store, self.plan, self.hinge = source.store, source.first, self.app._hinge
        tables = [of_generation(self.plan, name).table for name in self.generations]
        self.do(self.store.open(tables))
        self.rebuild = Rebuild(self.hinge, self.store, self.plan)

    def teardown(self) -> None:
        self.let_go()
        self.loop.close()

    def let_go(self) -> None:
        if hasattr(self, "app"):
            self.do(self.app.close())

    @property
    def served(self) -> str:
        (name,) = [name for name, one in self.generations.items() if one.role == "served"]
        return name

    def newest(self, role: str) -> str | None:
        found = [
            (generation_of(FIRST, name), name)
            for name, one in self.generations.items()
            if one.role == role
        ]
        return max(found)[1] if found else None

    # ------------------------------------------------------------------------------- what happens

    @rule(key=KEYS, number=st.integers(0, 8))
    def append(self, key: str, number: int) -> None:
        done = self.do(self.app.dispatch(Note(key, number)))
        self.events.append((key, number))
        assert done.token.position == len(self.events)

    @rule(broken=st.booleans())
    def deploy(self, *, broken: bool) -> None:
        BROKEN[0] = broken

    @rule()
    def crash_and_reopen(self) -> None:
        self.do(self.app.close())
        self.open()

    async def move(self, name: str) -> None:
        async with held(self.store, name, self.hinge.environment, "a test") as epoch:
            runner = Runner(self.hinge, self.store, [of_generation(self.plan, name)])
            runner.members[0].epoch = epoch
            await runner.catch_up()

    @rule()
    def run_all_that_are_moved(self) -> None:
        for name, rows in self.generations.items():
            if rows.role != "building":
                self.do(self.move(name))
                rows.move(self.events)

    @rule(key=KEYS)
    def retry(self, key: str) -> None:
        self.app.sources[Pages].plan = of_generation(self.plan, self.served)
        self.do(self.app.parked.retry(FIRST, key))
        self.generations[self.served].retry(self.events, key)

    @rule(key=KEYS)
    def skip(self, key: str) -> None:
        self.app.sources[Pages].plan = of_generation(self.plan, self.served)
        rows = self.generations[self.served]
        waiting = rows.waiting.get(key)
        position = waiting[0] if waiting else 1
        skipping = self.app.parked.skip(FIRST, key, position, reason="a test", actor="somebody")
        if not waiting:
            try:
                self.do(skipping)
            except ConfigurationError:
                return
            raise AssertionError("skipped what does not wait")
        self.do(skipping)
        rows.skipped.add((key, waiting.pop(0)))
        rows.retry(self.events, key)

    @rule()
    def rebuild_in_place(self) -> None:
        self.do(self.rebuild.in_place(self.served))
        self.generations[self.served].begin_again()
        self.generations[self.served].move(self.events)

    @precondition(lambda self: len(self.generations) < 4)
    @rule()
    def build(self) -> None:
        name = self.do(self.rebuild.build())
        if name not in self.generations:
            number = max(generation_of(FIRST, one) for one in self.generations) + 1
            assert name == generation_name(FIRST, number), "a number that was not the next"
            self.generations[name] = Rows("building")
        rows, skipped = self.generations[name], self.generations[self.served].skipped
        if any(position <= rows.at for _, position in skipped - rows.skipped):
            rows.begin_again()  # it has folded what was skipped since
        rows.skipped |= skipped
        self.generations[name].move(self.events)

    @rule()
    def switch(self) -> None:
        old = self.served
        newer = [
            name
            for name, rows in self.generations.items()
            if rows.role == "building" and generation_of(FIRST, name) > generation_of(FIRST, old)
        ]

        async def switch() -> str:
            async with self.rebuild.level("a test") as (before, after):
                assert before == old
                assert after in newer  # which of several is not decided here
                await self.rebuild.switch(before, after)
            return after

        try:
            new = self.do(switch())
        except ConfigurationError:
            skipped = self.generations[old].skipped
            late = any(skipped - self.generations[name].skipped for name in newer)
            assert not newer or late, "there was something to switch to"
            for name in newer:
                self.come_level(name)
            return
        self.come_level(new)
        assert self.generations[new].at >= self.generations[old].at
        self.generations[new].skipped |= self.generations[old].skipped
        self.generations[old].role, self.generations[new].role = "kept", "served"

    def come_level(self, name: str) -> None:
        """How far it goes beyond the rows that are read is nobody's business."""
        stands = self.do(self.store.checkpoint(name)).position
        self.generations[name].move(self.events[:stands])

    @rule()
    def switch_back(self) -> None:
        kept, served = self.newest("kept"), self.served
        try:
            name = self.do(self.rebuild.switch_back())
        except ConfigurationError:
            assert kept is None
            return
        assert name == kept
        rows, now = self.generations[kept], self.generations[served]
        self.come_level(kept)
        assert rows.at >= now.at
        rows.role, now.role = "served", "building"

    @rule()
    def drop(self) -> None:
        names = self.do(self.rebuild.retire())
        assert set(names) == set(self.generations) - {self.served}
        for name in names:
            self.do(self.rebuild.drop(name))
            del self.generations[name]

    @rule()
    def lose_a_lease(self) -> None:
        """Two who take the lease one after the other: the first one changes nothing any more."""

        async def both() -> None:
            name = self.served
            one, two = (
                Leases(self.store, [name], self.hinge.environment, shares=False) for _ in range(2)
            )
            await one.seize()
            await two.seize()
            at = self.generations[name].at
            await self.store.apply([Change(name, at, at, epoch=two.held[name])])
            try:
                await self.store.apply([Change(name, at, at + 1, epoch=one.held[name])])
            except LeaseLost:
                await two.release()
                return
            raise AssertionError("a change without the lease was written")

        self.do(both())

    @precondition(lambda self: not BROKEN[0])
    @rule()
    def verify(self) -> None:
        ground = Ground(self.hinge.log, self.hinge.registry, self.hinge.environment)
        kept = [(of_generation(self.plan, name), self.store) for name in self.generations]
        for one in kept:
            found = self.do(Drift(ground, lambda one=one: [one]).verify())
            assert found.ok, found.differences

    # ---------------------------------------------------------------------------- what must be true

    @invariant()
    def the_store_is_as_the_model(self) -> None:
        if hasattr(self, "app"):
            self.do(self._compare())

    async def _compare(self) -> None:
        found = await self.store.generations(FIRST)
        assert {one.name: one.role for one in found} == {
            name: rows.role for name, rows in self.generations.items()
        }
        for name, rows in self.generations.items():
            assert (await self.store.checkpoint(name)).position == rows.at, name
            kept = {r.key: r.value.numbers for r in await self.store.find(name, Find())}
            assert kept == rows.rows, name
            entries = await self.store.parked(name)
            waiting: dict[str, list[int]] = {}
            for one in entries:
                if one.because != "skipped":
                    waiting.setdefault(one.key, []).append(one.position)
            assert waiting == rows.waiting, name
            skipped = {(one.key, one.position) for one in entries if one.because == "skipped"}
            assert skipped == rows.skipped, name


PARTS = [Notes, Pages]


def with_settings(machine: type, examples: int, steps: int) -> Any:
    """The machine as a test case."""
    case = machine.TestCase
    case.settings = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),  # to explain, it traces every line
    )
    return case
