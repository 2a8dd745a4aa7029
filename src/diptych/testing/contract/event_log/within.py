"""Appending in somebody else's transaction (G12)."""

# ruff: noqa: D102  the name of a test is its sentence

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from diptych.errors import AppendConditionFailed, ConfigurationError, VersionConflict
from diptych.events.condition import AppendCondition, EventFilter
from diptych.events.log import Append, Appended, EventLog
from diptych.testing.contract.event_log.keeping import Keeping
from diptych.testing.contract.event_log.words import (
    add,
    assert_dense,
    command,
    everything,
    fact,
    numbers,
    snapshot,
    state_of,
    to,
)
from diptych.testing.contract.suite import refusal

__all__ = ["Within"]


class GaveUp(Exception):
    """Why a transaction is rolled back."""


class Within(Keeping):
    """Tests of G12: `append_within` shares the fate of the caller's transaction."""

    def transaction(self, log: EventLog) -> AbstractAsyncContextManager[Any] | None:
        """A transaction of the driver in the database of `log`: committed when it is left, rolled
        back when it is left by an error. None: this log cannot take part in one.
        """
        return None

    async def test_g12_a_log_without_transactions_says_so(self, log: EventLog) -> None:
        await refusal(
            ConfigurationError, log.append_within(object(), add("a")), "that is no transaction"
        )
        assert await log.head() == 0

    async def test_g12_what_commits_with_the_caller_is_there(self, log: EventLog) -> None:
        if (transaction := self.transaction(log)) is None:
            return
        await log.append(add("a", fact(1)))
        append = Append(
            (to("a", fact(2), expected=1), to("b", fact(3), expected=0)),
            snapshots=(snapshot("a", 2),),
            command=command("c-1"),
        )
        async with transaction as handle:
            assert await log.append_within(handle, append) == Appended(2, 2)
        events = await everything(log)
        assert_dense(events)
        assert numbers(events) == [1, 2, 3]
        assert await log.snapshot("a") == snapshot("a", 2)
        again = await log.append(append)
        assert again.repeated is not None, "the command id was not recorded"
        assert again[:2] == (2, 2)

    async def test_g12_what_rolls_back_with_the_caller_never_was(self, log: EventLog) -> None:
        await log.append(add("a", fact(1)))
        before = await state_of(log, "ab", ["c-1"])
        if (transaction := self.transaction(log)) is None:
            return
        append = Append((to("a", fact(2)), to("b", fact(3))), command=command("c-1"))
        with pytest.raises(GaveUp):
            await self._append_and_give_up(log, transaction, append)
        assert await state_of(log, "ab", ["c-1"]) == before
        assert (await log.append(add("b", fact(4), expected=0))).first == 2, "a position was lost"

    async def _append_and_give_up(
        self, log: EventLog, transaction: AbstractAsyncContextManager[Any], append: Append
    ) -> None:
        async with transaction as handle:
            await log.append_within(handle, append)
            raise GaveUp

    async def test_g12_conflicts_are_found_within(self, log: EventLog) -> None:
        await log.append(add("a", fact(1, "Taken")))
        condition = AppendCondition((EventFilter(("Taken",)),))
        refused = [
            (VersionConflict, add("a", fact(2), expected=0)),
            (AppendConditionFailed, add("b", fact(2), condition=condition)),
        ]
        for error, append in refused:
            if (transaction := self.transaction(log)) is None:
                return
            try:
                async with transaction as handle:
                    await log.append_within(handle, append)
            except error:
                pass
            else:
                raise AssertionError(f"no {error.__name__} came of {append}")
        assert await log.head() == 1

    async def test_g12_nobody_gets_between_it_and_its_commit(self, log: EventLog) -> None:
        # Whoever appends meanwhile has to wait, or a reader would see its position first.
        if (transaction := self.transaction(log)) is None:
            return
        async with transaction as handle:
            mine = await log.append_within(handle, add("a", fact(1)))
            other = asyncio.create_task(log.append(add("b", fact(2))))
            # What is wrong has so long to show itself: a server needs more than a turn of the loop.
            await asyncio.wait([other], timeout=0.1)
            assert await log.head() == 0, "seen before it was committed"
        theirs = await self.soon(other, "an append after the transaction")
        assert (mine.first, theirs.first) == (1, 2)
        assert_dense(await everything(log))

    async def test_g12_who_waits_is_woken_by_the_commit(self, log: EventLog) -> None:
        if (transaction := self.transaction(log)) is None:
            return
        waiting = asyncio.create_task(log.wait(0))
        async with transaction as handle:
            await log.append_within(handle, add("a", fact(1)))
        assert await self.soon(waiting, "the head to move") == 1
