"""The trail of an application, opened to be looked at."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from diptych.application import App
from diptych.cli.existing import open_existing
from diptych.operations.trail import Trail

__all__ = ["opened_trail"]


@asynccontextmanager
async def opened_trail(app: App) -> AsyncIterator[Trail]:
    """The trail of `app`, which is open meanwhile and runs no projections."""
    await open_existing(app)
    try:
        yield app.trail
    finally:
        await app.close()
