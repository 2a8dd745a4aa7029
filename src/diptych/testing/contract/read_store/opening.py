"""How the suites of read stores come to a store, and to the same one as another process sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from diptych.queries.read_store import ReadStore
from diptych.testing.contract.read_store.words import ARTICLES, NOTES
from diptych.testing.contract.suite import Contract

__all__ = ["StoreContract"]


class StoreContract(Contract):
    """A suite whose tests take an empty read store, open for articles and notes."""

    async def make_store(self) -> ReadStore:
        """A new, empty store, not yet open."""
        raise NotImplementedError

    async def reopen(self, store: ReadStore) -> ReadStore | None:
        """Same data in a new object, as another process would see it; None for a volatile store.

        The suite calls it after `store` was closed, and also while `store` is still in use.
        """
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

    @asynccontextmanager
    async def another(self, store: ReadStore) -> AsyncIterator[ReadStore | None]:
        """The store as another process sees it. None: the store says that it is volatile."""
        other = await self.reopen(store)
        assert (other is None) == store.volatile, (
            f"`volatile` of the store is {store.volatile}, and reopen answered {other!r}: a store "
            "that cannot be opened again has to say so, and one that can has to be opened"
        )
        if other is None:
            yield None
            return
        async with self.apart(other) as apart:
            await apart.open([ARTICLES, NOTES])
            try:
                yield apart
            finally:
                await apart.close()
