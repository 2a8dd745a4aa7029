"""Stores that are broken on purpose: a suite that passes one of them is no suite.

`forgetting_logs`, `unchecking_logs`, `forgetting_stores` and `misfinding_stores` hold one small
class per fault. Each stands in front of a right log or store and spoils what passes through;
`breaks` says which guarantees that breaks, and the suite must notice each. `shared` has no fault
and must pass.
"""

from diptych.testing.contract.faulty import (
    forgetting_logs,
    forgetting_stores,
    misfinding_stores,
    unchecking_logs,
)
from diptych.testing.contract.faulty.forgetting_stores import DetachedStore
from diptych.testing.contract.faulty.shared import SharedLog, SharedStore

__all__ = ["FAULTY_LOGS", "FAULTY_STORES", "DetachedStore", "SharedLog", "SharedStore"]

FAULTY_LOGS: tuple[type[SharedLog], ...] = tuple(
    getattr(module, name)
    for module in (forgetting_logs, unchecking_logs)
    for name in module.__all__
)
"""Every faulty event log."""

FAULTY_STORES: tuple[type[SharedStore], ...] = tuple(
    getattr(module, name)
    for module in (forgetting_stores, misfinding_stores)
    for name in module.__all__
    if name != "DetachedStore"
)
"""Every faulty read store, but for the one that only an inline projection notices."""
