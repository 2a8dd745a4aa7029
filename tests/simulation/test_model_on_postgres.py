"""The log and the read store in PostgreSQL do what the model does."""

from __future__ import annotations

import os
import secrets
from typing import ClassVar

import asyncpg
import pytest
from tests.simulation.model import PARTS, StoreAgainstModel, with_settings

from diptych import App


class OnPostgres(StoreAgainstModel):
    primary: ClassVar[str] = ""

    def __init__(self) -> None:
        super().__init__()
        self.schema = f"t_{secrets.token_hex(6)}"  # every example has its own

    def make_app(self) -> App:
        joined = "&" if "?" in self.primary else "?"
        return App("model", PARTS, write=f"{self.primary}{joined}schema={self.schema}")

    def teardown(self) -> None:
        self.let_go()
        self.do(self._drop())
        self.loop.close()

    async def _drop(self) -> None:
        connection = await asyncpg.connect(self.primary)
        await connection.execute(f'DROP SCHEMA IF EXISTS "{self.schema}" CASCADE')
        await connection.close()


@pytest.fixture(autouse=True)
def _primary(postgres):
    OnPostgres.primary = postgres.primary


EXAMPLES = int(os.environ.get("DIPTYCH_EXAMPLES", "60")) // 8
TestPostgresAgainstTheModel = with_settings(OnPostgres, EXAMPLES, 15)
