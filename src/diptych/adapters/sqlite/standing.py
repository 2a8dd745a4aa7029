"""What is kept beside the rows of a projection: its checkpoint, its lease and its role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import apsw
import msgspec

from diptych.adapters.sqlite.statements import all_rows, sql
from diptych.queries.standings import (
    CheckpointInfo,
    Generation,
    Lease,
    LeaseSwap,
    Role,
    generation_of,
    role_at_birth,
)

__all__ = [
    "begin_again",
    "epoch_of",
    "forget",
    "give_standing",
    "info",
    "ordered_generations",
    "swap_leases",
    "switch_roles",
]


def give_standing(connection: apsw.Connection, names: Sequence[str]) -> None:
    """See that projections have their row, so that their leases can be swapped.

    One statement for all, which writes nothing when all have it.
    """
    born = msgspec.json.encode([(name, role_at_birth(name)) for name in names]).decode()
    connection.execute(sql("insert_standings"), (born,))


def info(row: Sequence[Any]) -> CheckpointInfo:
    """What a row of select_checkpoint means."""
    position, fingerprint, epoch, terms, parks, role = row
    return CheckpointInfo(position, fingerprint, Lease(epoch, terms), bool(parks), role)


def swap_leases(swaps: Sequence[LeaseSwap], connection: apsw.Connection) -> list[bool]:
    """Replace each lease that is as expected."""
    return [_swap(connection, swap) for swap in swaps]


def switch_roles(
    before: Mapping[str, Role],
    after: Mapping[str, Role],
    epochs: Mapping[str, int],
    connection: apsw.Connection,
) -> bool:
    """Give all their new roles, if all are there and have the roles and epochs expected."""
    names = msgspec.json.encode([*before, *after, *epochs]).decode()
    found = all_rows(connection, sql("select_roles"), (names,))
    roles = {name: role for name, role, _ in found}
    at = {name: epoch for name, _, epoch in found}
    expected = all(roles.get(name) == role for name, role in before.items())
    expected = expected and all(at.get(name) == epoch for name, epoch in epochs.items())
    if not expected or not all(name in roles for name in after):
        return False
    for name, role in after.items():
        connection.execute(sql("update_role"), (role, name))
    return True


def ordered_generations(projection: str, rows: Sequence[Any]) -> list[Generation]:
    """What select_generations gave, by number, without what only looks like a generation."""
    found = [
        (number, Generation._make(row))
        for row in rows
        if (number := generation_of(projection, row[0])) is not None
    ]
    return [generation for _, generation in sorted(found)]


def epoch_of(connection: apsw.Connection, name: str) -> int | None:
    """The epoch of a generation's lease; None: it was never opened, or dropped."""
    names = msgspec.json.encode([name]).decode()
    found = all_rows(connection, sql("select_checkpoints"), (names,))
    return found[0][2] if found else None


def begin_again(connection: apsw.Connection, name: str) -> None:
    """Forget the checkpoint and what waits; lease, role and what was skipped stay."""
    connection.execute(sql("update_checkpoint_back"), (name,))
    connection.execute(sql("delete_parked_unless_skipped"), (name,))


def forget(connection: apsw.Connection, name: str) -> None:
    """Forget everything."""
    connection.execute(sql("delete_checkpoint"), (name,))
    connection.execute(sql("delete_parked"), (name,))


def _swap(connection: apsw.Connection, swap: LeaseSwap) -> bool:
    parameters = (*swap.after, swap.projection, *swap.before)
    connection.execute(sql("update_lease"), parameters)
    return connection.changes() == 1
