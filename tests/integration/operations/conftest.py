"""A bank on disk, and hands that change its rows past the application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import apsw
import asyncpg
import pytest
from banking import Balances

from diptych import App
from diptych.operations.drift.drift import Drift
from diptych.operations.drift.refold import Ground


class ByHandInSqlite:
    """SQL in the read model's file, by another connection."""

    def __init__(self, path: Path) -> None:
        self._connection = apsw.Connection(str(path))
        self._connection.set_busy_timeout(5_000)

    async def change(self, account: str, balance: int) -> None:
        self._connection.execute(
            "UPDATE balances SET row = json_set(row, '$.balance', ?) WHERE key = ?",
            (balance, account),
        )

    async def delete(self, account: str) -> None:
        self._connection.execute("DELETE FROM balances WHERE key = ?", (account,))

    async def add(self, account: str) -> None:
        self._connection.execute(
            "INSERT INTO balances (key, position, row) "
            "VALUES (?1, 1, json_object('account_id', ?1, 'balance', 5))",
            (account,),
        )

    async def close(self) -> None:
        self._connection.close()


class ByHandInPostgres:
    """SQL in the read model's schema, by another connection."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def change(self, account: str, balance: int) -> None:
        await self._connection.execute(
            "UPDATE balances SET balance = $1 WHERE account_id = $2", balance, account
        )

    async def delete(self, account: str) -> None:
        await self._connection.execute("DELETE FROM balances WHERE account_id = $1", account)

    async def add(self, account: str) -> None:
        await self._connection.execute(
            "INSERT INTO balances (_position, account_id, balance) VALUES (1, $1, 5)", account
        )

    async def close(self) -> None:
        await self._connection.close()


@pytest.fixture
async def by_hand(
    url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Callable[[], Any]]:
    """Opens the other connection, once the application has made its tables."""
    opened = []

    async def open_it() -> Any:
        if url.startswith("sqlite"):
            opened.append(ByHandInSqlite(tmp_path / "bank.db"))
        else:
            schema = request.getfixturevalue("postgres_schema")
            opened.append(
                ByHandInPostgres(
                    await asyncpg.connect(
                        url.partition("?")[0], server_settings={"search_path": schema}
                    )
                )
            )
        return opened[-1]

    yield open_it
    for one in opened:
        await one.close()


@pytest.fixture
def drift_of() -> Callable[[App], Drift]:
    """The drift of an application: of its projection Balances, or of another."""

    def make(app: App, projection: type = Balances) -> Drift:
        source = app.sources[projection]
        ground = Ground(app.log, app.parts.registry, app.environment)
        return Drift(ground, lambda: [(source.plan, source.store)])

    return make
