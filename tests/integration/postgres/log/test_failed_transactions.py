"""An append in somebody else's transaction that cannot be committed any more."""

from __future__ import annotations

import asyncpg
import pytest

from diptych.errors import StoreError, StoreUnavailable
from diptych.testing.contract.event_log.words import add


async def test_an_append_in_a_transaction_that_has_failed_says_what_to_do(log, other):
    transaction = other.transaction()
    await transaction.start()
    with pytest.raises(asyncpg.DivisionByZeroError):
        await other.execute("SELECT 1 / 0")
    with pytest.raises(StoreError, match=r"failed before.*nothing was written.*begin anew") as said:
        await log.append_within(other, add("a"))
    assert not isinstance(said.value, StoreUnavailable), "trying again is in vain"
    await transaction.rollback()
    assert await log.head() == 0
