"""Read models as of a position, on real databases: rows by key, and tables of own SQL."""

from __future__ import annotations

from typing import Any

import pytest
from banking import BANK, Balance, Balances, Deposit, Deposited, Transfer, Withdrawn

from diptych import App, Sql, SqlProjection
from diptych.errors import ConfigurationError


class Turnover(SqlProjection):
    schema = ("CREATE TABLE turnover(account TEXT PRIMARY KEY, moved INT NOT NULL)",)
    tables = ("turnover",)

    def moved(self, sql: Sql, event: Deposited | Withdrawn) -> None:
        sql(
            "INSERT INTO turnover VALUES (?, ?) "
            "ON CONFLICT (account) DO UPDATE SET moved = turnover.moved + excluded.moved",
            event.account_id,
            event.amount,
        )


@pytest.fixture
async def app(url: str) -> Any:
    async with App("bank", [*BANK, Turnover], write=url) as app:
        await app.dispatch(Deposit("a", 10))
        await app.dispatch(Deposit("b", 20))
        await app.dispatch(Transfer("b", "a", 5))
        await app.settle()
        yield app


async def tables(app: App, position: int | None = None) -> list[tuple[str, str, int]]:
    rows = [row async for row in app.trail.table_rows(Turnover, position=position)]
    return sorted((row.table, row.values["account"], row.values["moved"]) for row in rows)


async def test_tables_are_shown_as_of_a_position_and_nothing_is_written(app):
    store, name = app.sources[Turnover].store, app.sources[Turnover].plan.name
    kept = await store.select("SELECT * FROM turnover ORDER BY account")
    checkpoint = await store.checkpoint(name)
    assert await tables(app, 0) == []
    assert await tables(app, 1) == [("turnover", "a", 10)]
    assert await tables(app, 3) == [("turnover", "a", 10), ("turnover", "b", 25)]
    assert await tables(app) == [("turnover", "a", 15), ("turnover", "b", 25)]
    assert await store.select("SELECT * FROM turnover ORDER BY account") == kept
    assert await store.checkpoint(name) == checkpoint


async def test_rows_are_shown_as_of_a_position(app):
    rows = [row async for row in app.trail.rows(Balances, position=3)]
    assert [(row.key, row.position, row.value) for row in rows] == [
        ("a", 1, Balance("a", 10)),
        ("b", 3, Balance("b", 15)),
    ]


async def test_tables_have_no_keys_to_ask_for(app):
    with pytest.raises(ConfigurationError, match="table_rows"):
        [row async for row in app.trail.rows(Turnover, ["a"])]
