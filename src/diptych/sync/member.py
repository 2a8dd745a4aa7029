"""One projection as a runner holds it."""

from __future__ import annotations

from diptych.errors import DiptychError
from diptych.queries.projection import Plan
from diptych.sync.parking import Parking
from diptych.sync.status import State
from diptych.sync.terms import Terms

__all__ = ["Member"]


class Member:
    """Where it stands, whether it may move, and what is parked.

    `epoch` is that of its lease; None: nobody else runs it. `terms` are those of the lease.
    `noticed`: it was said that other code has made its rows. It must not overtake its `leader`,
    which has come to `upto`, if it has one. `seen_at` is where it stood when its leases were looked
    at last.
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
        self.seen_at = 0
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
        """How many events to read at once: the more holders died here, the fewer, down to one."""
        return max(1, most >> 3 * (self.terms.crashes - 1)) if self.suspicious else most
