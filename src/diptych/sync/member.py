"""One projection as a runner holds it."""

from __future__ import annotations

from diptych.errors import DiptychError
from diptych.queries.projection import Plan
from diptych.queries.standings import Role
from diptych.sync.parking import Parking
from diptych.sync.status import State
from diptych.sync.terms import Terms

__all__ = ["Member"]

CALM_BATCHES = 8
"""So many batches go well before the next may be twice as large: what kills is then found within a
few deaths all the same, an eighth as far away each time."""


class Member:
    """Where it stands, whether it may move, and what is parked.

    `epoch` is that of its lease; None: nobody else runs it. `terms` are those of the lease. `calm`
    counts the batches that went well since it was taken.
    `noticed`: it was said that other code has made its rows. In another `role` than served it must
    not overtake its `leader`, which has come to `upto`, if it has one. `seen_at` is where it stood
    when its leases were looked at last.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.position = 0
        self.state: State = "standing by"
        self.error: DiptychError | None = None
        self.epoch: int | None = None
        self.terms = Terms()
        self.parking = Parking(plan)
        self.noticed = False
        self.calm = 0
        self.seen_at = 0
        self.role: Role = "served"
        self.leader: str | None = None
        self.upto: int | None = None

    @property
    def runs(self) -> bool:
        """Whether it moves by itself."""
        return self.state not in ("failed", "changed", "standing by")

    @property
    def waits(self) -> bool:
        """Whether it has come as far as its leader."""
        return self.upto is not None and self.position >= self.upto

    @property
    def suspicious(self) -> bool:
        """Whether the events that come next may be what has killed its holders."""
        return self.terms.crashes > 1 and self.position < self.terms.suspect

    def limit(self, most: int) -> int:
        """How many events to read at once: the more holders died here, the fewer, down to one.

        Twice as many again after each few batches that went well: whoever was killed for reasons
        that no event has to do with must not go step by step for long.
        """
        if not self.suspicious:
            return most
        return max(1, most >> max(0, 3 * (self.terms.crashes - 1) - self.calm // CALM_BATCHES))
