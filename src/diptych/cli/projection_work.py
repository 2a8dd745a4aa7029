"""What `diptych projections` does, and how it is watched meanwhile."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

from diptych.application import App
from diptych.cli.existing import open_existing
from diptych.cli.output import counted, plain, print_json
from diptych.cli.progress import Progress
from diptych.cli.status_table import ChangedLines, Rates, StatusScreen, why_of
from diptych.errors import ProjectionFailed, SyncError
from diptych.sync.status import ProjectionStatus

__all__ = ["facts_of", "look_once", "run_on", "run_until_settled", "watch_on"]

_LOOK_EVERY_S = 0.2
_RUN_LOOK_EVERY_S = 1.0
_SAY_EVERY_S = 10.0


def facts_of(app: App, found: Sequence[ProjectionStatus]) -> dict[str, Any]:
    """One look as an object."""
    head = max((one.head for one in found), default=0)
    return {"application": app.name, "head": head, "projections": plain(list(found))}


async def look_once(app: App) -> list[ProjectionStatus]:
    """Where they stand."""
    await open_existing(app)
    try:
        return await app.status()
    finally:
        await app.close()


async def watch_on(app: App, every_s: float, *, as_json: bool) -> None:
    """Show where they stand, for ever."""
    rates = Rates()
    await open_existing(app)
    try:
        with StatusScreen(ChangedLines(every_s), live=not as_json) as screen:
            while True:
                found = rates.added_to(await app.status())
                if as_json:
                    print_json(facts_of(app, found))
                else:
                    screen.show(found)
                await asyncio.sleep(every_s)
    finally:
        await app.close()


async def run_until_settled(app: App) -> list[ProjectionStatus]:
    """Run them to the head of this moment. Raises when one of them cannot get there, or has parked
    something on its way.
    """
    await app.open()
    try:
        head = await app.log.head()
        with Progress(f"Running {app.name}") as progress:
            while True:
                found = await app.status()
                progress(sum(min(one.position, head) for one in found), head * len(found))
                if all(one.position >= head for one in found if not _is_stuck(one)):
                    _raise_if_stuck(found)
                    await _raise_if_parked(app, found)
                    return found
                await asyncio.sleep(_LOOK_EVERY_S)
    finally:
        await app.close()


async def run_on(app: App, *, as_json: bool) -> None:
    """Run them for ever. Raises when none of them can go on."""
    await app.open()
    try:
        lines = ChangedLines(_SAY_EVERY_S)
        with StatusScreen(lines, live=not as_json) as screen:
            while True:
                found = await app.status()
                if not as_json:
                    screen.show(found)
                elif lines.changed(found):
                    print_json(facts_of(app, found))
                if all(_is_stuck(one) for one in found if one.mode in ("async", "handler")):
                    break  # nothing moves any more, or nothing has to
                await asyncio.sleep(_RUN_LOOK_EVERY_S)
        _raise_if_stuck(found)
        print(f"{app.name} has no projection that needs to be run.", file=sys.stderr)
    finally:
        await app.close()


def _is_stuck(one: ProjectionStatus) -> bool:
    """Whether it waits for somebody to act."""
    return one.state in ("failed", "changed")


def _raise_if_stuck(found: Sequence[ProjectionStatus]) -> None:
    for one in found:
        if _is_stuck(one):
            kind = ProjectionFailed if one.state == "failed" else SyncError
            why = why_of(one) or f"{one.name} stands at position {one.position} and cannot go on."
            raise kind(why, projection=one.name, position=one.position, state=one.state)


async def _raise_if_parked(app: App, found: Sequence[ProjectionStatus]) -> None:
    for one in found:
        groups = await app.parked.groups(one.name) if one.parked_keys else ()
        if groups:
            said = "; ".join(
                f"{counted(group.events, 'event')} of {counted(group.keys, 'key')} "
                f"since position {group.first:,} ({group.error})"
                for group in groups
            )
            raise ProjectionFailed(
                f"{one.name} has come to position {one.position:,}, but has parked {said}. Mend it "
                f"and retry: diptych parked retry {one.name}",
                projection=one.name,
                position=one.position,
                state="parked",
            )
