"""What is said of a change that is not written: somebody else moves the projection, or has."""

from __future__ import annotations

from diptych.errors import CheckpointMoved, LeaseLost

__all__ = ["check_epoch", "checkpoint_moved", "lease_lost"]


def check_epoch(projection: str, epoch: int | None, actual: int | None) -> None:
    """Raise LeaseLost for what is done under the lease `epoch` (None: whoever has it) when the
    present one is `actual` (None: what is not there has none).
    """
    if epoch is not None and epoch != actual:
        raise lease_lost(projection, epoch, actual or 0)


def checkpoint_moved(projection: str, expected: int, actual: int) -> CheckpointMoved:
    """A change begins at `expected`, and its projection stands at `actual`."""
    return CheckpointMoved(
        f"the projection {projection!r} stands at {actual}, not at {expected}: another runner "
        "advanced it. Nothing was written. Load it again and go on from there.",
        projection=projection,
        expected=expected,
        actual=actual,
    )


def lease_lost(projection: str, epoch: int | None, actual: int) -> LeaseLost:
    """A change was made under the lease with `epoch`, and the present one has the epoch `actual`.

    `epoch` is None where there was no lease to make it under.
    """
    under = "" if epoch is None else f", the change at {epoch}"
    return LeaseLost(
        f"the lease of the projection {projection!r} was lost: it is at epoch {actual} now{under}. "
        "Nothing was written. Somebody else may move it now.",
        projection=projection,
        epoch=epoch,
        actual=actual,
    )
