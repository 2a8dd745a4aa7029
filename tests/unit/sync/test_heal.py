"""A release that knows more retries by itself what an older one could not read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest
from poison import STRANGE, Noted, record

from diptych import App, Event, Projection, ReadModel
from diptych.queries.read_store import Change
from diptych.queries.wait import Arrivals
from diptych.sync.hinge import Hinge
from diptych.sync.runner import Runner


class Seen(ReadModel, key="account_id"):
    account_id: str
    numbers: list[int] = []


class FromTheFuture(Event):
    account_id: str
    number: int


def older() -> type:
    class Sights(Projection[Seen]):
        def noted(self, row: Seen, event: Noted) -> None:
            row.numbers.append(event.number)

    return Sights


def newer(*, broken: bool = False) -> type:
    class Sights(Projection[Seen]):
        def noted(self, row: Seen, event: Noted) -> None:
            row.numbers.append(event.number)

        def came(self, row: Seen, event: FromTheFuture) -> None:
            if broken:
                raise ValueError("not yet")
            row.numbers.append(event.number)

    return Sights


class Upgrade:
    """One log and one store, whose projection is moved by different releases."""

    def __init__(self, first: App, projection: type) -> None:
        self.first = first
        self.store = first.sources[projection].store

    async def run(self, projection: type) -> None:
        """A runner of the release that has this projection comes to the head."""
        release = App("release", [projection])
        hinge = Hinge(self.first.log, release.parts.registry, Arrivals(), self.first.environment)
        runner = Runner(hinge, self.store, [release.plan_named(projection)])
        await runner.catch_up()
        assert runner.members[0].error is None

    async def numbers(self) -> Any:
        row = (await self.store.load("sights", ["a"])).rows.get("a")
        return row and row.value.numbers

    async def waiting(self) -> list[tuple[int, str]]:
        return [(one.position, one.error[:10]) for one in await self.store.parked("sights")]

    async def attempts(self) -> list[int]:
        return [one.attempts for one in await self.store.parked("sights")]


@pytest.fixture
async def upgrade() -> AsyncIterator[Upgrade]:
    projection = older()
    async with AsyncExitStack() as stack:
        app = await App("older", [projection]).open(projections=False)
        stack.push_async_callback(app.close)
        await record(app, "Account-a", Noted("a", 1), STRANGE, Noted("a", 2))
        found = Upgrade(app, projection)
        await found.run(projection)
        yield found


async def test_f40_a_release_that_does_not_know_a_type_parks_its_stream(upgrade):
    assert await upgrade.numbers() == [1]
    assert await upgrade.waiting() == [(2, "UnknownMes"), (3, "")]
    await upgrade.run(older())
    assert await upgrade.waiting() == [(2, "UnknownMes"), (3, "")], "it still does not know it"
    assert await upgrade.attempts() == [1, 0], "and does not try"


async def test_f40_the_release_that_knows_it_retries_it_in_order_by_itself(upgrade):
    await upgrade.run(newer())
    assert await upgrade.numbers() == [1, 7, 2]
    assert await upgrade.waiting() == []


async def test_f40_what_can_be_read_and_fails_then_waits_for_somebody_to_act(upgrade):
    await upgrade.run(newer(broken=True))
    # Its key is known now, so it is the key that waits, and no longer the stream.
    assert await upgrade.waiting() == [(2, "ValueError"), (3, "")]
    await upgrade.run(newer())
    assert await upgrade.numbers() == [1], "only what could not be read is retried by itself"


async def test_f40_what_failed_for_another_reason_is_not_retried_by_itself(upgrade):
    entry = (await upgrade.store.parked("sights"))[0]
    told = msgspec.structs.replace(entry, error="ValueError: no")
    await upgrade.store.apply([Change("sights", 3, 3, parked=[told])])
    await upgrade.run(newer())
    assert await upgrade.waiting() == [(2, "ValueError"), (3, "")]
