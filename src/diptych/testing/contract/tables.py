"""The suite of the port Tables: write models kept in tables, beside the log."""

# ruff: noqa: D102  the name of a test is its sentence

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest

from diptych.commands.aggregate import Aggregate
from diptych.commands.tables import Tables
from diptych.errors import ConfigurationError, ConflictError, VersionConflict
from diptych.events.log import EventLog
from diptych.messages.kinds import Command, Event
from diptych.testing.contract.event_log.words import add, everything, fact
from diptych.testing.contract.suite import Contract, losers, outcomes, winners

__all__ = ["Jar", "TablesContract", "TablesWithLog"]


class Fill(Command):
    """Put beans into a jar."""

    jar_id: str
    beans: int


class Filled(Event):
    """Beans were put into a jar."""

    jar_id: str
    beans: int


class Jar(Aggregate, key="jar_id"):
    """What the suite keeps in a table: some beans."""

    beans: int = 0

    def fill(self, command: Fill) -> Filled:
        """Take any number."""
        return Filled(command.jar_id, command.beans)

    def filled(self, event: Filled) -> None:
        """Count them."""
        self.beans += event.beans


class GaveUp(Exception):
    """Why a transaction is rolled back."""


class TablesWithLog(NamedTuple):
    """What the tests judge: tables that keep `Jar`, and the log in the same database."""

    tables: Tables
    log: EventLog

    async def standing(self, key: str) -> tuple[int, int] | None:
        """Beans and version of a jar; None when there is no row."""
        async with self.tables.begin() as transaction:
            found = await transaction.load(Jar, key)
        return None if found is None else (found[0].beans, found[1])

    async def fill(self, key: str, beans: int, *, turns: int = 0) -> None:
        """Add beans in a transaction of its own, with an event, giving others some turns."""
        async with self.tables.begin() as transaction:
            found = await transaction.load(Jar, key)
            state, version = found or (Jar(), 0)
            for _ in range(turns):
                await asyncio.sleep(0)
            versions = (version if found else None), version + 1
            await transaction.save(Jar, key, Jar(state.beans + beans), (), versions)
            await transaction.append(add(f"Jar-{key}", fact(beans), expected=version))


class TablesContract(Contract):
    """Every guarantee of tables, as tests. Enrol an adapter with one method:

    ```python
    class TestMyTables(TablesContract):
        async def make(self) -> TablesWithLog: ...  # neither of them open
    ```
    """

    async def make(self) -> TablesWithLog:
        """Tables that keep `Jar`, with no row, and the log in the same database; not open."""
        raise NotImplementedError

    @asynccontextmanager
    async def subject(self) -> AsyncIterator[TablesWithLog]:
        """Tables and log, open."""
        made = await self.make()
        await made.log.open()
        await made.tables.open()
        try:
            yield made
        finally:
            await made.tables.close()
            await made.log.close()

    @pytest.fixture
    async def kept(self) -> AsyncIterator[TablesWithLog]:
        """What the test judges."""
        async with self.subject() as made:
            yield made

    async def test_g1_rows_and_events_are_there_together(self, kept: TablesWithLog) -> None:
        assert await kept.standing("a") is None
        await kept.fill("a", 3)
        await kept.fill("a", 4)
        assert await kept.standing("a") == (7, 2)
        assert [one.version for one in await everything(kept.log)] == [1, 2]

    async def test_g1_a_rollback_leaves_neither(self, kept: TablesWithLog) -> None:
        await kept.fill("a", 3)
        with pytest.raises(GaveUp):
            await self._fill_and_give_up(kept)
        assert await kept.standing("a") == (3, 1)
        assert await kept.standing("b") is None
        assert await kept.log.head() == 1

    async def _fill_and_give_up(self, kept: TablesWithLog) -> None:
        async with kept.tables.begin() as transaction:
            await transaction.load(Jar, "a")
            await transaction.save(Jar, "a", Jar(99), (), (1, 2))
            await transaction.save(Jar, "b", Jar(99), (), (None, 1))
            await transaction.append(add("Jar-a", fact(99)))
            raise GaveUp

    async def test_g1_a_refused_append_leaves_no_row(self, kept: TablesWithLog) -> None:
        await kept.log.append(add("Jar-a", fact(1)))
        with pytest.raises(VersionConflict):
            await kept.fill("a", 3)  # as if there were no event yet
        assert await kept.standing("a") is None

    async def test_g2_it_is_there_when_opened_again(self, kept: TablesWithLog) -> None:
        await kept.fill("a", 3)
        await kept.tables.close()
        await kept.tables.open()
        assert await kept.standing("a") == (3, 1)

    async def test_g3_a_save_over_another_version_conflicts(self, kept: TablesWithLog) -> None:
        await kept.fill("a", 3)
        with pytest.raises(VersionConflict):
            await self._save(kept, Jar(9), (7, 8))
        with pytest.raises(VersionConflict):
            await self._save(kept, Jar(9), (None, 1))
        assert await kept.standing("a") == (3, 1)

    async def _save(self, kept: TablesWithLog, jar: Jar, versions: Any) -> None:
        async with kept.tables.begin() as transaction:
            await transaction.save(Jar, "a", jar, (), versions)

    async def test_g3_no_update_is_lost(self, kept: TablesWithLog) -> None:
        results = await outcomes(kept.fill("a", 1, turns=number % 5) for number in range(20))
        losers(results, ConflictError)
        count = len(winners(results))
        assert count, "nobody won"
        assert await kept.standing("a") == (count, count)
        assert await kept.log.head() == count

    async def test_g4_what_comes_after_an_append_is_refused(self, kept: TablesWithLog) -> None:
        with pytest.raises(ConfigurationError):
            await self._append_and_save(kept)
        assert await kept.standing("a") is None
        assert await kept.log.head() == 0

    async def _append_and_save(self, kept: TablesWithLog) -> None:
        async with kept.tables.begin() as transaction:
            await transaction.save(Jar, "b", Jar(1), (), (None, 1))
            await transaction.append(add("Jar-b", fact(1)))
            await transaction.save(Jar, "a", Jar(1), (), (None, 1))

    async def test_g5_who_waits_for_each_other_is_parted(self, kept: TablesWithLog) -> None:
        for key in "ab":
            await kept.fill(key, 0)
        both = outcomes([self._fill_both(kept, "ab"), self._fill_both(kept, "ba")])
        results = await self.soon(both, "an end to two that wait for each other")
        losers(results, ConflictError)
        count = len(winners(results))
        assert count, "nobody won"
        assert await kept.standing("a") == (count, 1 + count)
        assert await kept.standing("b") == (count, 1 + count)

    async def _fill_both(self, kept: TablesWithLog, keys: str) -> None:
        async with kept.tables.begin() as transaction:
            for key in keys:
                found = await transaction.load(Jar, key)
                assert found is not None
                jar, version = found
                versions = version, version + 1
                await transaction.save(Jar, key, Jar(jar.beans + 1), (), versions)
                for _ in range(20):
                    await asyncio.sleep(0)

    async def test_g6_keys_are_all_there_in_order(self, kept: TablesWithLog) -> None:
        for key in ("c", "a", "e", "b", "d"):
            await kept.fill(key, 1)
        assert await kept.tables.keys(Jar, None, 2) == ["a", "b"]
        assert await kept.tables.keys(Jar, "b", 2) == ["c", "d"]
        assert await kept.tables.keys(Jar, "d", 2) == ["e"]
        assert await kept.tables.keys(Jar, "e", 2) == []
