"""What `diptych projections rebuild`, `build`, `compare` and `switch` do."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from diptych.application import App
from diptych.cli.existing import open_existing
from diptych.cli.output import counted, plain
from diptych.cli.progress import Progress, duration
from diptych.errors import ProjectionFailed
from diptych.operations.drift.repair import Repaired
from diptych.operations.generations import Generations
from diptych.operations.generations_compared import GenerationsCompared
from diptych.queries.standings import Generation

__all__ = [
    "Made",
    "build_one",
    "compare_one",
    "drop_others",
    "facts_of",
    "list_them",
    "queries_of",
    "rebuild_one",
    "rebuild_rows",
    "switch_one",
    "switch_one_back",
]


class Made(NamedTuple):
    """Rows that were made anew, from so many events in so many seconds."""

    projection: str
    generation: str
    events: int
    seconds: float

    @property
    def events_per_s(self) -> float:
        """How fast."""
        return self.events / self.seconds if self.seconds else 0.0

    def facts(self) -> dict[str, Any]:
        """The same as an object."""
        return {
            "projection": self.projection,
            "generation": self.generation,
            "events": self.events,
            "seconds": round(self.seconds, 3),
            "events_per_s": round(self.events_per_s, 1),
        }

    def told(self) -> str:
        """The same for people."""
        return (
            f"{counted(self.events, 'event')} in {duration(self.seconds)} "
            f"({self.events_per_s:,.0f}/s)"
        )


async def rebuild_one(
    app: App, name: str, throttle: float | None, *, in_place: bool | None
) -> Made:
    """Make all rows anew. Raises ProjectionFailed when the projection cannot go on."""
    began = time.monotonic()
    async with _opened(app):
        with Progress(f"Rebuilding {name}") as progress:
            await app.rebuild(name, in_place=in_place, throttle=throttle, progress=progress)
        [found] = [one for one in await app.status() if one.name == name]
        if found.state in ("failed", "changed"):
            raise ProjectionFailed(found.why, projection=found.name, position=found.position)
        return Made(name, found.generation, found.position, time.monotonic() - began)


async def rebuild_rows(app: App, name: str, keys: Sequence[str], tenant: str | None) -> Repaired:
    """Make the rows of some keys anew, or those of a tenant."""
    async with _opened(app):
        return await app.drift.repair(name, keys, tenant=tenant)


async def build_one(app: App, name: str, throttle: float | None) -> Made:
    """Build rows beside those that are read."""
    began = time.monotonic()
    async with _generations(app, name) as generations:
        with Progress(f"Building {name}") as progress:
            made = await generations.build(throttle=throttle, progress=progress)
        stands = next(one.position for one in await generations.list() if one.name == made)
        return Made(app.plan_named(name).name, made, stands, time.monotonic() - began)


async def compare_one(app: App, name: str, queries: Sequence[Any]) -> GenerationsCompared:
    """Compare what was built with what is read."""
    async with _generations(app, name) as generations:
        return await generations.compare(queries)


async def switch_one(app: App, name: str, queries: Sequence[Any], *, if_same: bool) -> str:
    """Have what was built read; its name."""
    async with _generations(app, name) as generations:
        gate = (lambda compared: compared.same) if if_same else None
        return await generations.switch(gate, queries)


async def switch_one_back(app: App, name: str) -> str:
    """Have what was read before read again; its name."""
    async with _generations(app, name) as generations:
        return await generations.switch_back()


async def drop_others(app: App, name: str) -> Sequence[str]:
    """Remove what is not read; the names."""
    async with _generations(app, name) as generations:
        return await generations.drop()


async def list_them(app: App, name: str) -> Sequence[Generation]:
    """What there is."""
    async with _generations(app, name) as generations:
        return await generations.list()


def queries_of(app: App, asked: Sequence[str]) -> list[Any]:
    """Queries as they are typed: a type, and its fields as JSON if it has any."""
    found = []
    for one in asked:
        kind, _, data = one.strip().partition(" ")
        found.append(app.decode_query(kind, data.strip().encode() or b"{}"))
    return found


def facts_of(found: GenerationsCompared) -> dict[str, Any]:
    """A comparison as an object."""
    answers = [
        {
            "query": type(query).__name__,
            "fields": plain(query),
            "old": plain(now),
            "new": plain(then),
        }
        for query, now, then in found.answers
    ]
    return {"same": found.same, **plain(found), "answers": answers}


@asynccontextmanager
async def _generations(app: App, name: str) -> AsyncIterator[Generations]:
    async with _opened(app):
        yield app.generations(name)


@asynccontextmanager
async def _opened(app: App) -> AsyncIterator[None]:
    await open_existing(app)
    try:
        yield
    finally:
        await app.close()
