"""What a comparison of read models with the log found."""

from __future__ import annotations

from typing import Any

import msgspec

from diptych.queries.projection import Plan
from diptych.queries.read_model import snake_case

__all__ = ["Compared", "Difference", "Verification", "name_of"]


def name_of(plan: Plan) -> str:
    """What people call a projection, whichever generation of its rows `plan` is for."""
    return snake_case(plan.projection.__name__)


class Difference(msgspec.Struct, frozen=True):
    """One row that is not what the log says. None: there is no such row on that side.

    `kept_at` and `expected_at` are the positions of the last event that touched it (0: none was
    kept). For a projection with own SQL, `key` is the table's name and there are no positions. A
    row that its store cannot read any more is kept as the text of that error.
    """

    projection: str
    key: str
    kept: Any
    expected: Any
    kept_at: int = 0
    expected_at: int = 0


class Compared(msgspec.Struct, frozen=True):
    """One projection: `rows` of it compared, at the end with the log up to `position`."""

    projection: str
    rows: int
    position: int
    differences: int = 0


class Verification(msgspec.Struct, frozen=True):
    """What was compared: `rows` of all read models against the log's first `events` events.

    `seed` says by which chance a sample was taken, and takes the same one again. `left_out` names
    the projections that could not be compared by keys, because they write their own SQL.
    """

    ok: bool
    rows: int
    events: int
    differences: tuple[Difference, ...] = ()
    compared: tuple[Compared, ...] = ()
    seed: int | None = None
    left_out: tuple[str, ...] = ()
