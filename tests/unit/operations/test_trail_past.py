"""How it was: write models at a version or a time, read models as of a position."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from banking import BANK, Account, Balance, Balances, Deposit, Deposited, Transfer, Withdraw

from diptych import App, Projection, ReadModel, keyed_by
from diptych.errors import ConfigurationError, ProjectionFailed
from diptych.events.log import Append, EventToStore, StreamAppend

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


class Pair(ReadModel, key="pair"):
    pair: str
    amounts: list[int] = []


def both_pairs(event: Deposited) -> list[str]:
    return [f"{event.account_id}-odd" if event.amount % 2 else f"{event.account_id}-even", "all"]


class Pairs(Projection[Pair]):
    """A row is deleted by every thirteenth; an event may touch several rows."""

    @keyed_by(both_pairs)
    def deposited(self, row: Pair, event: Deposited) -> Pair | None:
        if event.amount == 13:
            return None
        row.amounts.append(event.amount)
        return row


@pytest.fixture
async def app():
    async with App("bank", [*BANK, Pairs]) as app:
        yield app


async def deposit_at(app: App, *minutes: int) -> None:
    """One event for each, recorded so many minutes after noon."""
    for number, minute in enumerate(minutes):
        data = msgspec.json.encode({"account_id": "a", "amount": 10**number})
        at = int((NOON + timedelta(minutes=minute)).timestamp()) * 1_000_000
        event = EventToStore("Deposited", 1, data, b'{"id":"e"}')
        await app.log.append(Append((StreamAppend("Account-a", -1, (event,)),), recorded_us=at))


# -- write models ----------------------------------------------------------------------------------


async def test_a_state_is_shown_at_any_version(app):
    await app.dispatch(Deposit("a", 10), actor="ann")
    await app.dispatch(Withdraw("a", 3), actor="bob")
    trail = app.trail
    past = [await trail.state(Account, "a", version=version) for version in range(3)]
    assert [one.state.balance for one in past] == [0, 10, 7]
    assert [one.version for one in past] == [0, 1, 2]
    assert [one.last.actor if one.last else None for one in past] == [None, "ann", "bob"]
    assert await trail.state(Account, "a") == past[2]


@pytest.mark.parametrize("version", [3, 99, -1])
async def test_a_version_that_never_was_is_refused(app, version: int):
    await app.dispatch(Deposit("a", 10))
    await app.dispatch(Deposit("a", 10))
    with pytest.raises(ConfigurationError, match=f"no version {version}, it stands at 2"):
        await app.trail.state(Account, "a", version=version)


@pytest.mark.parametrize(
    ("minute", "version", "balance"),
    [(-1, 0, 0), (0, 1, 1), (5, 1, 1), (10, 2, 11), (29, 2, 11), (30, 5, 11111), (99, 5, 11111)],
)
async def test_at_a_time_nothing_shows_that_was_recorded_later(app, minute, version, balance):
    # The third was recorded by a clock that is fast: it holds back what comes after it.
    await deposit_at(app, 0, 10, 30, 20, 30)
    past = await app.trail.state(Account, "a", at=NOON + timedelta(minutes=minute))
    assert (past.version, past.state.balance) == (version, balance)


async def test_a_state_before_is_shown_for_what_is_stored_as_state():
    async with App("bank", BANK, state_stored=[Account]) as app:
        await app.dispatch(Deposit("a", 10))
        await app.dispatch(Withdraw("a", 3))
        assert (await app.trail.state(Account, "a", version=1)).state.balance == 10


async def test_a_long_stream_is_shown_at_its_end(app):
    await deposit_at(app, 0)
    event = EventToStore("Deposited", 1, b'{"account_id":"a","amount":1}', b'{"id":"e"}')
    await app.log.append(Append((StreamAppend("Account-a", -1, (event,) * 2_500),)))
    past = await app.trail.state(Account, "a", at=datetime.now(UTC))
    assert (past.version, past.state.balance) == (2_501, 2_501)


async def test_a_kind_that_is_no_write_model_and_a_time_and_a_version_are_refused(app):
    trail = app.trail
    with pytest.raises(ConfigurationError, match="no aggregate"):
        await trail.state(Balance, "a")
    with pytest.raises(ConfigurationError, match="not both"):
        await trail.state(Account, "a", version=1, at=NOON)


@pytest.mark.parametrize("key", ["a", "a-b", "x-y-z-"])
def test_a_stream_names_its_write_model_and_key(key: str):
    assert App("bank", BANK).trail.owner_of(f"Account-{key}") == (Account, key)


@pytest.mark.parametrize("stream", ["Account", "Account-", "Accounts-a", "", "-a"])
def test_a_stream_of_nobody_is_refused(stream: str):
    with pytest.raises(ConfigurationError, match=r"Account-\.\.\."):
        App("bank", BANK).trail.owner_of(stream)


# -- read models -----------------------------------------------------------------------------------


async def rows(app: App, *args: Any, **options: Any) -> dict[str, Any]:
    return {row.key: row.value async for row in app.trail.rows(*args, **options)}


async def test_rows_are_shown_as_of_a_position_and_nothing_is_written(app):
    await app.dispatch(Deposit("a", 10))
    await app.dispatch(Deposit("b", 20))
    await app.dispatch(Transfer("b", "a", 5))
    await app.settle()
    source = app.sources[Balances]
    kept = await source.store.load(source.plan.name, ["a", "b"])
    assert await rows(app, Balances, position=0) == {}
    assert await rows(app, Balances, position=1) == {"a": Balance("a", 10)}
    assert await rows(app, Balances, position=3) == {"a": Balance("a", 10), "b": Balance("b", 15)}
    assert await rows(app, Balance) == {"a": Balance("a", 15), "b": Balance("b", 15)}
    assert await rows(app, Balances, ["b", "nobody"], position=2) == {"b": Balance("b", 20)}
    assert await rows(app, Balances, []) == {}
    assert await source.store.load(source.plan.name, ["a", "b"]) == kept


async def test_the_position_of_a_row_is_that_of_its_last_event(app):
    await app.dispatch(Deposit("a", 10))
    await app.dispatch(Deposit("b", 20))
    found = [(row.key, row.position) async for row in app.trail.rows(Balances, position=2)]
    assert found == [("a", 1), ("b", 2)]


@pytest.mark.parametrize("most_rows", [1, 3, 7, 1_000])
async def test_however_few_rows_are_held_at_once_all_are_shown(app, most_rows: int, monkeypatch):
    monkeypatch.setattr("diptych.operations.trail.rows._BATCH", 16)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201  what makes a failure repeatable
    chance = random.Random(seed)
    for _ in range(300):
        await app.dispatch(Deposit(f"k{chance.randrange(20)}", chance.randrange(1, 30)))
    await app.settle()
    kept = app.sources[Pairs]
    found = [row async for row in app.trail.rows(Pairs, most_rows=most_rows)]
    assert len({row.key for row in found}) == len(found) > 20
    loaded = await kept.store.load(kept.plan.name, [row.key for row in found])
    assert {row.key: row for row in found} == loaded.rows
    assert len(found) == await kept.store.count(kept.plan.name)
    chosen = sorted(row.key for row in found)[::3]
    only = [row async for row in app.trail.rows(Pairs, chosen, most_rows=most_rows)]
    assert [row.key for row in only] == chosen
    assert {row.key: row for row in only}.items() <= loaded.rows.items()


@pytest.mark.parametrize("position", [-1, 2])
async def test_a_position_that_never_was_is_refused(app, position: int):
    await app.dispatch(Deposit("a", 10))
    with pytest.raises(ConfigurationError, match=f"no position {position}: the log stands at 1"):
        await rows(app, Balances, position=position)


async def test_an_event_that_cannot_be_folded_is_named(app):
    await app.dispatch(Deposit("a", 10))
    broken = EventToStore("Deposited", 1, b'{"account_id":1}', b'{"id":"e"}')
    await app.log.append(Append((StreamAppend("Account-a", -1, (broken,)),)))
    assert await rows(app, Balances, position=1) == {"a": Balance("a", 10)}
    with pytest.raises(ProjectionFailed) as failed:
        await rows(app, Balances, position=2)
    assert failed.value.position == 2


async def test_rows_by_key_have_no_tables_of_their_own(app):
    with pytest.raises(ConfigurationError, match="ask for its rows"):
        [row async for row in app.trail.table_rows(Balances)]
