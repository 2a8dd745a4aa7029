"""The suite of the port ReadStore.

`ReadStoreContract` is what an adapter is enrolled with. Its tests: `writing` (G1, G2, G3, G8),
`rows` (G4, G6), `finding` (G5), `searching` (G7), `abilities` (G9, and own SQL). `words` is the
language the tests are written in, with the read models they keep.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from diptych.queries.read_store import ReadStore
from diptych.testing.contract.read_store.abilities import Abilities
from diptych.testing.contract.read_store.finding import Finding
from diptych.testing.contract.read_store.rows import Rows
from diptych.testing.contract.read_store.searching import Searching
from diptych.testing.contract.read_store.words import ARTICLES, NOTES

__all__ = ["ReadStoreContract"]


class ReadStoreContract(Abilities, Rows, Finding, Searching):
    """Every guarantee of a read store, as tests. Enrol an adapter with two methods:

    ```python
    class TestMyReadStore(ReadStoreContract):
        async def make_store(self) -> ReadStore:
            return MyReadStore(self.folder / "rows.db")

        async def reopen(self, store: ReadStore) -> ReadStore | None:
            return MyReadStore(self.folder / "rows.db")
    ```

    A store with SQL of another dialect sets `sql_schema` and the other `sql_` attributes.
    """

    async def make_store(self) -> ReadStore:
        """A new, empty store, not yet open."""
        raise NotImplementedError

    @asynccontextmanager
    async def subject(self) -> AsyncIterator[ReadStore]:
        """An empty store, open for articles and notes."""
        store = await self.make_store()
        await store.open([ARTICLES, NOTES])
        try:
            yield store
        finally:
            await store.close()

    @pytest.fixture
    async def store(self) -> AsyncIterator[ReadStore]:
        """What each test judges."""
        async with self.subject() as store:
            yield store
