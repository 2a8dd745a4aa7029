"""What the simulation has found, each as the smallest story that shows it."""

from __future__ import annotations

import pytest

from diptych import App
from diptych.adapters.memory.event_log import MemoryEventLog
from diptych.adapters.memory.read_store import MemoryReadStore
from diptych.errors import LeaseLost, ProjectionFailed
from diptych.sync.lease import held
from diptych.sync.rebuild import Rebuild
from diptych.testing.contract.faulty.shared import SharedLog, SharedStore
from diptych.testing.simulation import tally
from diptych.testing.simulation.process import release


class World:
    """One log and one store; applications over them."""

    def __init__(self) -> None:
        self.log, self.store = MemoryEventLog(), MemoryReadStore()

    def app(self, of_release: int, **options) -> App:
        parts = tally.parts_of(of_release)
        ports = {"write": SharedLog(self.log), "read": SharedStore(self.store)}
        return App("tally", parts, **ports, **options)


@pytest.fixture
def world():
    return World()


async def opened(app: App) -> tuple[App, Rebuild]:
    await app.open(projections=False)
    source = app.sources[tally.Shown]
    await source.store.open([source.first.table])
    return app, Rebuild(app._hinge, source.store, source.first)


async def roles(world: World) -> dict[str, str]:
    return {one.name: one.role for one in await world.store.generations("showing")}


async def test_dropping_what_another_has_dropped_makes_nothing_anew(world):
    _, rebuild = await opened(world.app(3))
    await rebuild.build()
    async with rebuild.level("a test") as (old, new):
        await rebuild.switch(old, new)
    assert new == "showing__1"
    for name in await rebuild.retire():
        await rebuild.drop(name)

    async def opened_anew(tables) -> None:
        pytest.fail(f"{[one.name for one in tables]} would be made anew")

    world.store.open = opened_anew  # type: ignore[method-assign]
    await rebuild.drop(old)  # another operator has listed it, too
    assert await roles(world) == {"showing__1": "served"}


async def test_the_first_generation_is_not_served_when_it_is_opened_beside_a_served_one(world):
    app, rebuild = await opened(world.app(3))
    await rebuild.build()
    async with rebuild.level("a test") as (old, new):
        await rebuild.switch(old, new)
    await rebuild.retire()
    await rebuild.drop("showing")
    await world.store.open([app.sources[tally.Shown].first.table])  # who had not noticed
    assert await roles(world) == {"showing": "building", "showing__1": "served"}


async def test_whoever_was_stopped_before_it_drops_does_not_drop_what_is_read_since(world):
    """Seed 75327: it has looked, and is stopped; others build on, and have that read."""
    app, rebuild = await opened(world.app(3))
    _, others = await opened(world.app(3))
    new = await rebuild.build()
    drop = app.sources[tally.Shown].store.drop

    async def after_a_switch(*arguments):
        async with others.level("a test") as (old, _):
            await others.switch(old, new)
        await drop(*arguments)

    app.sources[tally.Shown].store.drop = after_a_switch  # type: ignore[method-assign]
    with pytest.raises(LeaseLost):
        await rebuild.drop(new)
    assert await roles(world) == {"showing": "kept", new: "served"}


async def test_a_switch_whose_rows_somebody_has_taken_meanwhile_is_refused(world):
    app, rebuild = await opened(world.app(3))
    await app.dispatch(tally.Add("a", 1, 1))
    await rebuild.build()
    async with rebuild.level("a test") as (old, new):
        async with held(world.store, old, app.environment, "rows are repaired"):
            pass
        with pytest.raises(LeaseLost):
            await rebuild.switch(old, new)
    assert await roles(world) == {"showing": "served", "showing__1": "building"}


async def test_what_an_inline_projection_cannot_fold_is_not_passed_by_its_rebuild(world):
    """It would wait there, and the next append would fold what follows it."""
    newest = await world.app(2, inline=tally.INLINE).open()
    for command in (tally.Add("a", 1, 1), tally.Mark("a", 2), tally.Add("a", 4, 1)):
        await newest.dispatch(command)
    oldest = await world.app(1, inline=tally.INLINE).open()
    with pytest.raises(ProjectionFailed, match="Marked"):
        await oldest.rebuild("latests", in_place=True)
    assert (await world.store.checkpoint("latests")).position == 1
    assert await world.store.parked("latests") == []
    await newest.dispatch(tally.Add("a", 5, 1))  # who knows the type brings it to the head
    assert (await world.store.checkpoint("latests")).position == 4
    await newest.close()
    await oldest.close()


async def test_two_who_open_an_inline_projection_do_not_both_retry_what_it_has_parked(world):
    """Its rows would have the effect of what was parked twice."""
    apps = [world.app(2, inline=[tally.INLINE[0]]) for _ in range(2)]
    seen: list[int | None] = []
    first = world.app(1)
    newest = await world.app(2).open(projections=False)
    await newest.dispatch(tally.Mark("a", 2))
    await newest.dispatch(tally.Add("a", 4, 1))
    async with first:  # asynchronous here: it parks what it does not know
        await first.ask(tally.GetLatest("a"), after=await first.head_token(), on_stale="stale")
    assert await world.store.parked("latests")
    apply = world.store.apply

    async def watched(changes) -> None:
        seen.extend(one.epoch for one in changes if one.unparked)
        await apply(changes)

    world.store.apply = watched  # type: ignore[method-assign]
    for app in apps:
        await app.open()
    assert seen
    assert None not in seen
    for app in (*apps, newest):
        await app.close()


def test_outside_of_a_simulation_every_event_is_borne():
    assert release.get() > tally.NEWEST
