"""Making a read model and proving it right, on whatever store a URL leads to."""

import asyncio
from collections.abc import Awaitable, Callable

from benchmarks.clocks import stopwatch
from benchmarks.diptych_cart import Cart, Sales
from benchmarks.measuring import Sample
from diptych import App

FEW_KEYS = 1_000
MANY_KEYS = 20_000

Work = Callable[[App], Awaitable[None]]


def rebuilding(url: str, times: int = 1) -> Sample:
    """Make the read model again from the first event, in place, which is the faster way."""

    async def rebuild(app: App) -> None:
        await app.rebuild(Sales, in_place=True)

    return asyncio.run(measured(url, times, rebuild))


def verifying(url: str, times: int = 1) -> Sample:
    """Fold the log again and compare every row, while the rows stand at the head."""

    async def verify(app: App) -> None:
        found = await app.verify()
        if not found.ok:
            raise ValueError(f"{len(found.differences)} of {found.rows} rows differ")

    return asyncio.run(measured(url, times, verify))


async def measured(url: str, times: int, work: Work) -> Sample:
    """Do the work on a read model that stands at the head."""
    app = App("bench", [Cart, Sales], write=url)
    await app.open(projections=False)
    try:
        events = await app.log.head()
        if await position(app) != events:
            await app.rebuild(Sales, in_place=True)
        with stopwatch() as watch:
            for _ in range(times):
                await work(app)
        if await position(app) != events:
            raise ValueError(f"the read model is at {await position(app)}, not at {events}")
        return watch.rate(events * times)
    finally:
        await app.close()


async def position(app: App) -> int:
    """Say where the read model stands."""
    return (await app.status())[0].position
