"""What is kept beside the rows of one projection in memory: its lease, its role, what is parked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from diptych.adapters.memory.transaction import Undo
from diptych.queries.fence import lease_lost
from diptych.queries.parked import Parked
from diptych.queries.read_store import Change
from diptych.queries.standings import Lease, Role

__all__ = ["Standing"]

_Place = tuple[bool, str, int]


class Standing:
    """One generation of one projection. Every method finishes without awaiting."""

    def __init__(self, role: Role) -> None:
        self.lease = Lease()
        self.role: Role = role
        self._parked: dict[_Place, Parked] = {}

    @property
    def parks(self) -> bool:
        """Whether anything is parked or skipped."""
        return bool(self._parked)

    def check_epoch(self, projection: str, epoch: int | None) -> None:
        """Raise LeaseLost for what is done under another lease."""
        if epoch is not None and epoch != self.lease.epoch:
            raise lease_lost(projection, epoch, self.lease.epoch)

    def apply(self, change: Change, undo: Undo) -> None:
        """Park and unpark, having told `undo` how to take it back."""
        if change.parked or change.unparked:
            before = dict(self._parked)
            undo.add(lambda: setattr(self, "_parked", before))
            for one in change.unparked:
                self._parked.pop(_place(one), None)
            for one in change.parked:
                self._parked[_place(one)] = one

    def parked(self, keys: Sequence[str] | None, limit: int | None) -> list[Parked]:
        """What is parked, by position and then key."""
        wanted = None if keys is None else frozenset(keys)
        found: Iterable[Parked] = (
            one for one in self._parked.values() if wanted is None or one.key in wanted
        )
        return sorted(found, key=lambda one: (one.position, one.key, one.by_stream))[:limit]

    def reset(self) -> None:
        """Forget what is parked; what was skipped stays."""
        self._parked = {place: one for place, one in self._parked.items() if not one.waits}


def _place(one: Parked) -> _Place:
    return one.by_stream, one.key, one.position
