"""What `diptych parked` does."""

from __future__ import annotations

import getpass
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from diptych.application import App
from diptych.cli.existing import open_existing
from diptych.operations.parked.entries import ParkedKey
from diptych.operations.parked.groups import Group
from diptych.operations.parked.parked_events import ParkedEvents, Skipped
from diptych.queries.parked import Parked
from diptych.sync.retry import Retried

__all__ = ["entries_of", "groups_of", "retry_them", "skip_one", "user"]


async def groups_of(app: App) -> list[Group]:
    """What waits, by projection and error."""
    async with _opened(app) as parked:
        return await parked.groups()


async def entries_of(
    app: App, projection: str, key: str | None
) -> tuple[list[ParkedKey], list[Parked]]:
    """What waits of one projection, or one key of it, and what was skipped."""
    async with _opened(app) as parked:
        skipped = [
            one for _, one in await parked.skipped(projection) if key is None or one.key == key
        ]
        return await parked.entries(projection, key), skipped


async def retry_them(
    app: App, projection: str | None, key: str | None, error: str | None, *, dry_run: bool
) -> list[Retried]:
    """Fold again what waits."""
    async with _opened(app) as parked:
        return await parked.retry(projection, key, error, dry_run=dry_run)


async def skip_one(
    app: App, place: tuple[str, str, int], *, reason: str, actor: str, dry_run: bool
) -> Skipped:
    """Skip the first event of a key, given as projection, key and position."""
    async with _opened(app) as parked:
        return await parked.skip(*place, reason=reason, actor=actor, dry_run=dry_run)


def user() -> str:
    """Whose shell this is; '' where nobody can tell."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""


@asynccontextmanager
async def _opened(app: App) -> AsyncIterator[ParkedEvents]:
    await open_existing(app)
    try:
        yield app.parked
    finally:
        await app.close()
