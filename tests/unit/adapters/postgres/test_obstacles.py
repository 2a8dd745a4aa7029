"""What the server says of a queue, as a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from diptych.adapters.postgres.obstacles import WORTH_SAYING_S, _first


def row(pid: int, depth: int = 0, does: str | None = "idle in transaction", **facts: Any) -> Any:
    return {"pid": pid, "depth": depth, "does": does, "program": "psql", "seconds": 31.4} | facts


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row(7)], "session 7 (psql, idle in transaction) holds the lock, for 31 s"),
        ([row(7, program="")], "session 7 (no name, idle in transaction) holds the lock, for 31 s"),
        (
            [row(7, does=None)],
            (
                "session 7 (psql, what it does is hidden: GRANT pg_read_all_stats to this user) "
                "holds the lock, for 31 s"
            ),
        ),
        (
            [row(9, 2), row(8, 1), row(7, does="active")],
            (
                "session 9 (psql, idle in transaction) keeps session 7 waiting, which "
                "holds the lock, for 31 s"
            ),
        ),
        (
            [row(0, 1, None, program=None), row(7)],
            (
                "a prepared transaction (see pg_prepared_xacts) keeps session 7 waiting, which "
                "holds the lock, for 31 s"
            ),
        ),
    ],
)
def test_the_one_at_the_root_is_named(rows: list[Any], said: str):
    assert str(_first(rows, "the lock", nearest=0)) == said


@pytest.mark.parametrize("rows", [[], [row(7, seconds=WORTH_SAYING_S - 0.01)]])
def test_nobody_and_nothing_worth_saying(rows: list[Any]):
    assert _first(rows, "the lock", nearest=0) is None


def test_one_that_waits_for_nobody_known_names_nobody():
    assert _first([row(7)], "rows", nearest=1) is None
