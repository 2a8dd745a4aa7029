"""The port of standings: who may move a projection, what is parked, which rows are served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

from diptych.queries.parked import Parked
from diptych.queries.table_spec import TableSpec

__all__ = [
    "CheckpointInfo",
    "Generation",
    "Lease",
    "LeaseSwap",
    "Role",
    "Standings",
    "generation_name",
    "generation_of",
    "projection_of",
    "role_at_birth",
]


class Lease(NamedTuple):
    """Who may move a projection: `epoch` grows with every owner, `terms` are text for its owners.

    A projection that nobody has owned yet has the lease (0, '').
    """

    epoch: int = 0
    terms: str = ""


class LeaseSwap(NamedTuple):
    """The lease of a projection shall be `after`, if it is exactly `before`."""

    projection: str
    before: Lease
    after: Lease


Role = Literal["served", "building", "kept"]
"""What the rows of a generation are for: queries; being built beside them; going back to."""


class CheckpointInfo(NamedTuple):
    """Where a projection stands, and the fingerprint its rows were made for ('': no rows yet).

    `parks` says whether `parked` would answer anything; `role` what its rows are for.
    """

    position: int
    fingerprint: str
    lease: Lease = Lease()
    parks: bool = False
    role: Role = "served"


class Generation(NamedTuple):
    """One set of rows of a projection: the first has the projection's name, others a number."""

    name: str
    role: Role
    position: int
    fingerprint: str


def generation_name(projection: str, number: int) -> str:
    """The name of a generation's rows: `cart_pages` is number 0, then `cart_pages__1`."""
    return f"{projection}__{number}" if number else projection


def generation_of(projection: str, name: str) -> int | None:
    """Which generation of `projection` a name means; None when it means none."""
    if name == projection:
        return 0
    head, _, number = name.rpartition("__")
    known = head == projection and number.isascii() and number.isdigit() and number[0] != "0"
    return int(number) if known else None


def projection_of(name: str) -> str:
    """The projection that a generation of this name is of: what people name."""
    head, _, _ = name.rpartition("__")
    return head if head and generation_of(head, name) else name


def role_at_birth(name: str) -> Role:
    """What the rows of a generation are for when it is opened first, and no other one is served."""
    return "served" if projection_of(name) == name else "building"


class Standings(Protocol):
    """What a read store keeps beside the rows of its projections.

    G1 `swap_leases` replaces a lease only if it is exactly the one expected; of many who try at
       once, in this process or another, one succeeds. Each swap stands for itself.
    G2 Once a swap has returned, no change, `reset` or `drop` with an older epoch is done any more.
    G3 `parked` gives what changes have parked and not unparked, in ascending order of position.
    G4 `switch` gives all generations their new roles or none, and only if all have exactly the
       roles expected, and their leases the epochs given. Rows, checkpoints, leases and what is
       parked stay with their generation.
    G5 What was dropped is gone, with its checkpoint, its lease and what was parked, and no other
       generation is touched.
    G6 `reset` forgets what is parked; what was skipped stays skipped, and the lease stays held.
    G7 Leases, roles and what is parked survive close and open, except in a volatile store.

    A generation that was never opened has the lease (0, '') and nothing parked. The generation 0 is
    born `served`, unless another one is served already; any other is born `building`.
    """

    async def checkpoint(self, projection: str) -> CheckpointInfo:
        """Where a projection (or a generation, by its name) stands."""

    async def checkpoints(self, projections: Sequence[str]) -> dict[str, CheckpointInfo]:
        """The same for several, in one go."""

    async def swap_leases(self, swaps: Sequence[LeaseSwap]) -> list[bool]:
        """Replace leases; True for each that was as expected. The projections must be open."""

    async def parked(
        self, projection: str, keys: Sequence[str] | None = None, limit: int | None = None
    ) -> list[Parked]:
        """What is parked or skipped, by position and then key; of some keys only, if given."""

    async def generations(self, projection: str) -> list[Generation]:
        """The generations there are, by number; those that nobody opened yet are not among them."""

    async def switch(
        self,
        before: Mapping[str, Role],
        after: Mapping[str, Role],
        epochs: Mapping[str, int] | None = None,
    ) -> bool:
        """Give generations (by name) the roles `after`, if they have the roles `before` and their
        leases are at `epochs`.
        """

    async def drop(self, table: TableSpec, epoch: int | None = None) -> None:
        """Remove the rows of a generation with all that is kept beside them. Not there: nothing.

        With an `epoch` only while its lease has that; otherwise LeaseLost is raised.
        """

    async def held_up_by(self) -> str:
        """What keeps the writes of this store waiting, in a sentence for people; '' if nothing does
        (or nobody can tell).
        """
