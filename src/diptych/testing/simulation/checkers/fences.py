"""R8: who does not hold the lease changes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from diptych.testing.simulation.history import Dropped, History, Leased, Written

__all__ = ["fences_hold", "leases_are_taken_in_turn"]


def fences_hold(history: History) -> Iterator[str]:
    """Every change carries an epoch: that of the lease, and never an older one than before.

    >>> new, old = (
    ...     Written("p2", "rows", epoch=3, holder=3),
    ...     Written("p1", "rows", epoch=2, holder=3),
    ... )
    >>> for said in fences_hold(History([new, old])):
    ...     print(said)
    rows was changed by p1 under epoch 2, when the lease was at 3
    rows was changed by p1 under epoch 2, after a change under epoch 3
    """
    newest: dict[str, int] = defaultdict(int)
    for one in history.records:
        if isinstance(one, Dropped):
            newest.pop(one.projection, None)
        if not isinstance(one, Written) or one.inline:
            continue
        if one.epoch is None:
            yield f"{one.projection} was changed by {one.process} without an epoch"
            continue
        if one.epoch != one.holder:
            yield (
                f"{one.projection} was changed by {one.process} under epoch {one.epoch}, when the "
                f"lease was at {one.holder}"
            )
        if one.epoch < newest[one.projection]:
            yield (
                f"{one.projection} was changed by {one.process} under epoch {one.epoch}, after a "
                f"change under epoch {newest[one.projection]}"
            )
        newest[one.projection] = max(newest[one.projection], one.epoch)


def leases_are_taken_in_turn(history: History) -> Iterator[str]:
    """Every new owner of a lease has the next epoch.

    >>> taken = [Leased(p, "rows", 0, 1, f'{{"owner":"{p}/x"}}') for p in ("p1", "p2")]
    >>> list(leases_are_taken_in_turn(History(taken)))
    ['the lease of rows was at epoch 1, and p2 made it 1 from 0']
    """
    epochs: dict[str, int] = defaultdict(int)
    for one in history.records:
        if isinstance(one, Dropped):
            epochs.pop(one.projection, None)
        if not isinstance(one, Leased) or not one.done:
            continue
        if one.before != epochs[one.projection] or one.after < one.before:
            yield (
                f"the lease of {one.projection} was at epoch {epochs[one.projection]}, and "
                f"{one.process} made it {one.after} from {one.before}"
            )
        epochs[one.projection] = one.after
