"""What `diptych verify` does: one verification with its repair, or a patrol."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any, NamedTuple

from diptych.application import App
from diptych.cli.differences import print_differences
from diptych.cli.existing import open_existing
from diptych.cli.output import counted, plain, print_json, print_line
from diptych.cli.progress import Progress, duration
from diptych.operations.drift.fields import field_differences
from diptych.operations.drift.patrol import PatrolFound, PatrolStatus
from diptych.operations.drift.repair import Repaired
from diptych.operations.drift.results import Difference, Verification

__all__ = ["Verified", "Wish", "patrol_on", "verify_once"]

_LOOK_EVERY_S = 0.2


class Wish(NamedTuple):
    """What to verify, and whether to repair it."""

    projections: tuple[str, ...]
    selected: dict[str, Any]
    repair: bool
    dry_run: bool


class Verified(NamedTuple):
    """What was found, what was repaired, and which projections can only be rebuilt.

    `changed` are those with differences whose rows another version of the projection has made.
    """

    found: Verification
    repaired: tuple[Repaired, ...] = ()
    only_rebuilt: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything is right now."""
        if self.found.ok or not self.repaired or self.only_rebuilt:
            return self.found.ok
        return all(one.ok and not one.dry_run for one in self.repaired)

    def facts(self) -> dict[str, Any]:
        """All of it as an object."""
        facts: dict[str, Any] = plain(self.found)
        facts["differences"] = [_facts_of(one) for one in self.found.differences]
        if self.changed:
            facts["changed"] = list(self.changed)
        if self.repaired or self.only_rebuilt:
            facts["ok"] = self.ok
            facts["repaired"] = [_repair_facts(one) for one in self.repaired]
            facts["only_rebuilt"] = list(self.only_rebuilt)
        return facts


async def verify_once(app: App, wish: Wish) -> Verified:
    """Verify, then repair what was found if that is wished."""
    await open_existing(app)
    try:
        with Progress("Verifying") as progress:
            found = await app.verify(progress, projections=wish.projections, **wish.selected)
        if found.ok:
            return Verified(found)
        differ = {one.projection for one in found.differences}
        stands = await app.status()
        changed = tuple(one.name for one in stands if one.state == "changed" and one.name in differ)
        if not wish.repair:
            return Verified(found, changed=changed)
        keys: dict[str, list[str]] = {}
        for one in found.differences:
            keys.setdefault(one.projection, []).append(one.key)
        can = [
            name for name in keys if app.plan_named(name).shape is not None and name not in changed
        ]
        repaired = [await app.drift.repair(name, keys[name], dry_run=wish.dry_run) for name in can]
        others = tuple(name for name in keys if name not in can)
        return Verified(found, tuple(repaired), others, changed)
    finally:
        await app.close()


async def patrol_on(app: App, pace: dict[str, float], limit: int, *, as_json: bool) -> None:
    """Compare for ever; print what differs at once, and a line (or an object) per round."""

    def report(found: PatrolFound) -> None:
        if as_json:
            facts = plain(found)
            facts["differences"] = [_facts_of(one) for one in found.differences]
            print_json(facts)
        elif found.differences:
            print_differences(found.differences, limit)

    await open_existing(app)
    try:
        async with app.drift.patrol(report, **pace) as patrol:
            before, since = PatrolStatus(), time.monotonic()
            while True:
                await asyncio.sleep(_LOOK_EVERY_S)
                now = patrol.status
                if now.rounds > before.rounds:
                    _say_round(before, now, time.monotonic() - since, as_json=as_json)
                    before = now
                if now.resting:
                    since = time.monotonic()
    finally:
        await app.close()


def _say_round(before: PatrolStatus, now: PatrolStatus, seconds: float, *, as_json: bool) -> None:
    for name, why in now.errors.items():
        print(f"{name} could not be compared: {why}", file=sys.stderr, flush=True)
    if as_json:
        return
    wrong = sum(now.differences.values())
    rows = counted(now.rows - before.rows, "row")
    said = counted(wrong, "difference") if wrong else "no difference"
    print_line(f"round {now.rounds}: {rows} compared in {duration(seconds)}, {said}")


def _facts_of(one: Difference) -> dict[str, Any]:
    facts: dict[str, Any] = plain(one)
    facts["fields"] = plain(field_differences(one.kept, one.expected))
    return facts


def _repair_facts(one: Repaired) -> dict[str, Any]:
    facts: dict[str, Any] = plain(one)
    del facts["differences"]  # they are there already
    return facts
