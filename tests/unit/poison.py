"""A projection whose rows show the order of their events, and that fails when it is told to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from diptych import (
    App,
    Event,
    Projection,
    Query,
    Reader,
    ReadModel,
    Sql,
    SqlProjection,
    keyed_by,
)
from diptych.events.log import ANY_VERSION, Append, EventToStore, StreamAppend

BAD: set[int] = set()
"""Numbers that cannot be borne just now."""

DEADLY: dict[int, Callable[[], object]] = {}
"""Numbers that do something worse than raising."""

STRANGE = EventToStore("FromTheFuture", 1, b'{"account_id":"a","number":7}', b'{"id":"x"}')


class Noted(Event):
    account_id: str
    number: int
    text: str = ""


class Moved(Event):
    source: str
    target: str
    number: int


class Ignored(Event):
    account_id: str


class History(ReadModel, key="account_id", indexes=("latest",)):
    account_id: str
    numbers: list[int] = []
    latest: int = 0
    text: str = ""


class Histories(Projection[History]):
    def noted(self, row: History, event: Noted) -> None:
        if event.number in DEADLY:
            DEADLY[event.number]()
        row.numbers.append(event.number)  # a method that raises may have changed its row before
        row.latest = event.number
        row.text += event.text
        if event.number in BAD:
            raise ValueError(f"{event.number} is bad")

    @keyed_by(lambda event: [event.source, event.target])
    def moved(self, row: History, event: Moved) -> None:
        row.numbers.append(event.number)
        if event.number in BAD and row.account_id == event.target:
            raise ValueError(f"{event.number} is bad for {event.target}")


class Lines(SqlProjection):
    schema = ("CREATE TABLE lines(account_id TEXT NOT NULL, number INT NOT NULL)",)
    tables = ("lines",)

    def noted(self, sql: Sql, event: Noted) -> None:
        if event.number in BAD:
            raise ValueError(f"{event.number} is bad")
        if event.number in DEADLY:
            DEADLY[event.number]()
        sql("INSERT INTO lines VALUES (?, ?)", event.account_id, event.number)


class GetHistory(Query[History | None]):
    account_id: str


class GetLatest(Query[list[History]]):
    at_least: int = 0


async def get_history(query: GetHistory, rows: Reader[History]) -> History | None:
    return await rows.get(query.account_id)


async def get_latest(query: GetLatest, rows: Reader[History]) -> list[History]:
    return await rows.find(latest__gte=query.at_least)


PARTS = [Histories, get_history, get_latest]


async def record(app: App, stream: str, *events: Any) -> None:
    """Write events into the log as they are."""
    made = [one if isinstance(one, EventToStore) else to_store(one) for one in events]
    await app.log.append(Append((StreamAppend(stream, ANY_VERSION, tuple(made)),)))


async def note(app: App, *notes: tuple[str, int]) -> None:
    """Write a Noted for each (account, number), into the account's stream."""
    for account, number in notes:
        await record(app, f"Account-{account}", Noted(account, number))


def to_store(event: Any) -> EventToStore:
    return EventToStore(type(event).__name__, 1, msgspec.json.encode(event), b'{"id":"x"}')


async def numbers_of(app: App, account: str) -> list[int] | None:
    """What the row of an account shows."""
    source = app.sources[Histories]
    row = (await source.store.load(source.plan.name, [account])).rows.get(account)
    return None if row is None else row.value.numbers


async def lanes_of(app: App, projection: type = Histories) -> dict[str, list[tuple[int, str]]]:
    """What waits, or was skipped: by key, position and why."""
    found: dict[str, list[tuple[int, str]]] = {}
    source = app.sources[projection]
    for one in await source.store.parked(source.plan.name):
        found.setdefault(one.key, []).append((one.position, one.because))
    return found
