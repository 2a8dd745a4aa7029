"""Health: is the process alive, can it do its work, and, apart from both, how far behind is it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Literal

import msgspec

from diptych.application import App
from diptych.queries.source import Source
from diptych.sync.status import ProjectionStatus
from diptych.telemetry.deadline import within

__all__ = ["Dependency", "Health", "health"]


class Dependency(msgspec.Struct, frozen=True):
    """Something the application relies on: does it answer, and if not, why.

    Without a `required` one that is not `ok`, the application goes on: queries of a replica are
    answered by others.
    """

    kind: Literal["log", "read store", "replica"]
    name: str
    ok: bool
    required: bool = True
    why: str = ""


class Health(msgspec.Struct, frozen=True):
    """An application at one moment.

    `alive`: the event loop turns and every runner is at work; if not, restart the process. `ready`:
    the log and all read stores answer; if not, send it no work, and do not restart it.
    `projections` say how far each is behind: that is no fault of the process, and neither of the
    two depends on it. `held_up` says what keeps appends waiting; ''. `why` has a sentence for
    everything that is not as it should be.
    """

    alive: bool
    ready: bool
    dependencies: tuple[Dependency, ...] = ()
    projections: tuple[ProjectionStatus, ...] = ()
    held_up: str = ""
    why: tuple[str, ...] = ()

    @property
    def lag_events(self) -> int:
        """How far the projection is behind that is furthest."""
        return max((one.lag_events for one in self.projections), default=0)

    @property
    def delay_s(self) -> float:
        """The age of the oldest event that some projection has not seen."""
        return max((one.delay_s for one in self.projections), default=0.0)


async def health(app: App, *, within_s: float = 2.0, opening: bool = False) -> Health:
    """How an application is. Each thing it relies on has `within_s` seconds to answer.

    Takes twice that at most, whatever hangs, and raises nothing for a store that is out of reach.
    An application that is not open is not ready; with `opening`, for a look from outside, it is
    opened without its projections, and whoever asks closes it.
    """
    ended = app.ended()
    asked = [
        _answers("log", str(app.log.describe()["adapter"]), _log(app, opening=opening), within_s)
    ]
    asked += [
        _answers("read store", _named(kept), _store(kept, opening=opening), within_s)
        for kept in _by_store(app)
    ]
    found = await asyncio.gather(*asked)
    ready = all(one.ok for one in found)
    why = [f"{one.kind} {one.name}: {one.why}" for one in found if not one.ok]
    projections: list[ProjectionStatus] = []
    held_up = ""
    if ready:
        more: list[Dependency]
        more, projections, held_up, troubles = await _look_closer(app, within_s, opening=opening)
        found += more
        why += troubles
    why += [f"{name} has ended: {reason}" for name, reason in ended.items()]
    return Health(not ended, ready, tuple(found), tuple(projections), held_up, tuple(why))


async def _look_closer(
    app: App, within_s: float, *, opening: bool
) -> tuple[list[Dependency], list[ProjectionStatus], str, list[str]]:
    """What can only be asked where all stores answer."""
    troubles: list[str] = []

    async def tell(question: Coroutine[Any, Any, Any], what: str) -> Any:
        try:
            return await within(within_s, question)
        except Exception as error:  # noqa: BLE001  as in `_answers`
            troubles.append(f"{what}: {_said(error, within_s)}")
            return None

    async def opened(ask: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        if opening:
            await app.open(projections=False)
        return await ask()

    stores = {_named(kept): kept[0].store for kept in _by_store(app)}
    status, replicas, obstacle, *in_their_way = await asyncio.gather(
        tell(opened(app.status), "where projections stand"),
        tell(opened(app.replicas), "where replicas stand"),
        tell(app.log.held_up_by(), "what holds up appends"),
        *(tell(one.held_up_by(), f"what holds up {name}") for name, one in stores.items()),
    )
    more = [
        Dependency("replica", one.name, one.up, required=False, why=one.why)
        for one in replicas or ()
    ]
    troubles += [f"replica {one.name}: {one.why}" for one in more if not one.ok]
    troubles += [f"{one.name}: {one.why}" for one in status or () if one.why]
    troubles += [
        f"writes to {name} wait: {why}"
        for name, why in zip(stores, in_their_way, strict=True)
        if why
    ]
    held_up = str(obstacle or "")
    return more, status or [], held_up, troubles + ([held_up] if held_up else [])


async def _answers(
    kind: Literal["log", "read store"],
    name: str,
    question: Coroutine[Any, Any, None],
    within_s: float,
) -> Dependency:
    try:
        await within(within_s, question)
    except Exception as error:  # noqa: BLE001  whatever it is, this is what is wrong with it
        return Dependency(kind, name, ok=False, why=_said(error, within_s))
    return Dependency(kind, name, ok=True)


async def _log(app: App, *, opening: bool) -> None:
    if opening:
        await app.log.open()
    await app.log.head()


async def _store(kept: list[Source], *, opening: bool) -> None:
    store = kept[0].store
    if opening:
        await store.open([])
    await store.generations(kept[0].first.name)


def _by_store(app: App) -> list[list[Source]]:
    """The projections of each store; each of them is listed by its class and by its rows'."""
    found: dict[int, dict[str, Source]] = {}
    for source in app.sources.values():
        found.setdefault(id(source.store), {})[source.first.name] = source
    return [list(kept.values()) for kept in found.values()]


def _named(kept: list[Source]) -> str:
    names = ", ".join(one.first.name for one in kept)
    return f"{kept[0].store.describe()['adapter']} of {names}"


def _said(error: BaseException, within_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"it did not answer within {within_s:g} s"
    return str(error) or type(error).__name__
