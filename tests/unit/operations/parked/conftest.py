"""An application whose projection fails on the numbers in BAD, and what is parked of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from poison import BAD, PARTS, Histories

from diptych import App
from diptych.sync.runner import Runner


@pytest.fixture(autouse=True)
def _nothing_is_bad() -> Iterator[None]:
    BAD.clear()
    yield
    BAD.clear()


@pytest.fixture
async def app() -> AsyncIterator[App]:
    """Open, with no runner: `fold` moves it."""
    made = await App("poisoned", PARTS).open(projections=False)
    yield made
    await made.close()


@pytest.fixture
def fold(app: App) -> Callable[..., object]:
    """Come to the head of the log, as a runner does."""

    async def catch_up(projection: type = Histories) -> None:
        source = app.sources[projection]
        runner = Runner(app._hinge, source.store, [source.plan])
        await runner.catch_up()
        for member in runner.members:
            if member.error is not None:
                raise member.error

    return catch_up
