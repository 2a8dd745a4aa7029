"""Stores that are broken on purpose: a suite that passes one of them is no suite.

`forgetting_logs`, `unchecking_logs`, `forgetting_stores`, `misfinding_stores` and `unfenced_stores`
hold one small class per fault; so do `wrong_leases`, `wrong_parking` and `wrong_generations`, for
the suite of standings. Each stands in front of a right log or store and spoils what passes through;
`breaks` says which guarantees that breaks, and the suite must notice each. `shared` has no fault
and must pass.
"""

from diptych.testing.contract.faulty import (
    forgetting_logs,
    forgetting_stores,
    misfinding_stores,
    unchecking_logs,
    unfenced_stores,
    wrong_generations,
    wrong_leases,
    wrong_parking,
)
from diptych.testing.contract.faulty.forgetting_stores import DetachedStore
from diptych.testing.contract.faulty.shared import SharedLog, SharedStore

__all__ = [
    "FAULTY_LOGS",
    "FAULTY_STANDINGS",
    "FAULTY_STORES",
    "DetachedStore",
    "SharedLog",
    "SharedStore",
]

FAULTY_LOGS: tuple[type[SharedLog], ...] = tuple(
    getattr(module, name)
    for module in (forgetting_logs, unchecking_logs)
    for name in module.__all__
)
"""Every faulty event log."""

FAULTY_STORES: tuple[type[SharedStore], ...] = tuple(
    getattr(module, name)
    for module in (forgetting_stores, misfinding_stores, unfenced_stores)
    for name in module.__all__
    if name != "DetachedStore"
)
"""Every faulty read store, but for the one that only an inline projection notices."""

FAULTY_STANDINGS: tuple[type[SharedStore], ...] = tuple(
    getattr(module, name)
    for module in (wrong_leases, wrong_parking, wrong_generations)
    for name in module.__all__
)
"""Every read store whose standings are faulty; `breaks` names guarantees of Standings."""
