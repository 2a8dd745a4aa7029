"""After a run: everything parked is retried, everything settles, and what the stores hold is
written down: `python -m tests.nemesis.ending <folder> <url>`. A tampered row comes last (R15).
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
from tests.nemesis.domain import Lines, Shelves, Tallies, application

from diptych import App
from diptych.errors import CheckpointMoved, LeaseLost
from diptych.queries.read_store import Change, Find, Row

PAGE = 10_000


async def events_of(app: App) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while page := await app.log.read(found[-1]["position"] if found else 0, PAGE):
        found += (
            {
                "position": one.position,
                "stream": one.stream,
                "version": one.version,
                "type": one.type,
                **json.loads(one.data),
            }
            for one in page
        )
    return found


async def rows_of(app: App, projection: type) -> dict[str, Any]:
    source = app.sources[projection]
    rows = await source.store.find(source.plan.name, Find())
    return {row.key: msgspec.to_builtins(row.value) for row in rows}


async def retry_all(app: App) -> None:
    """Until nothing is parked: what only the mended release can fold is folded now."""
    while await app.parked.groups():
        try:
            await app.parked.retry()
        except (CheckpointMoved, LeaseLost):
            await asyncio.sleep(0.01)


async def come_to_the_head(app: App) -> None:
    head = await app.log.head()
    for projection in (Lines, Shelves, Tallies):
        source = app.sources[projection]
        while (await source.store.checkpoint(source.plan.name)).position < head:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def tampered(app: App) -> list[str]:
    """Which keys a verification names after one row was changed beside the log."""
    source = app.sources[Tallies]
    store, name = source.store, source.plan.name
    row = (await store.find(name, Find()))[0]
    at = (await store.checkpoint(name)).position
    wrong = msgspec.structs.replace(row.value, digest="tampered")
    await store.apply([Change(name, at, at, [Row(row.key, row.position, wrong)])])
    found = [f"{one.projection} {one.key}" for one in (await app.verify()).differences]
    await app.drift.repair(name, [row.key])
    return [f"tallies {row.key}", *found, f"ok {(await app.verify()).ok}"]


async def end(folder: Path, url: str) -> None:
    async with application(url) as app:
        async with asyncio.timeout(60):
            await come_to_the_head(app)
            await retry_all(app)
            await app.settle(30)
        verified = await app.verify()
        found = {
            "head": await app.log.head(),
            "events": await events_of(app),
            "rows": {one.__name__: await rows_of(app, one) for one in (Lines, Shelves, Tallies)},
            "status": [f"{one.name} {one.state} {one.position}" for one in await app.status()],
            "verified": verified.ok,
            "differences": [f"{one.projection} {one.key}" for one in verified.differences],
            "tampered": await tampered(app),
        }
    (folder / "stores.json").write_text(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(end(Path(sys.argv[1]), sys.argv[2]))
