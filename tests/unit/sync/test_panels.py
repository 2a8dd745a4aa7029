"""Inline projections join a log once, whenever they become able to."""

from __future__ import annotations

import pytest

from diptych import Aggregate, App, Command, Event, Projection, ReadModel
from diptych.errors import ConfigurationError


class Count(Command):
    name: str


class Counted(Event):
    name: str


class Counter(Aggregate, key="name"):
    def count(self, command: Count) -> Counted:
        return Counted(command.name)


class Total(ReadModel, key="name"):
    name: str
    times: int = 0


class Totals(Projection[Total]):
    def counted(self, row: Total, event: Counted) -> None:
        row.times += 1


def changed() -> type[Projection[Total]]:
    class Totals(Projection[Total], version=2):
        def counted(self, row: Total, event: Counted) -> None:
            row.times += 10

    return Totals


async def test_a_changed_inline_projection_is_rebuilt_and_joins_again(tmp_path):
    url = f"sqlite:///{tmp_path}/counters.db"
    async with App("counters", [Counter, Totals], write=url, inline=[Totals]) as app:
        await app.dispatch(Count("a"))
    now = changed()
    app = App("counters", [Counter, now], write=url, inline=[now])
    with pytest.raises(ConfigurationError, match="rebuild"):
        await app.open()
    await app.open(projections=False)
    await app.rebuild(now)
    await app.close()
    async with app:
        await app.dispatch(Count("a"))
        [status] = await app.status()
        assert (status.state, status.lag_events) == ("inline", 0)
        assert (await app.verify()).ok
