"""Where `App` still looks for verification; see `operations.drift`."""

from __future__ import annotations

from collections.abc import Sequence

from diptych.environment import Environment
from diptych.events.log import EventLog
from diptych.messages.registry import Registry
from diptych.operations.drift import verifying
from diptych.operations.drift.refold import Ground
from diptych.operations.drift.results import Difference, Verification
from diptych.operations.drift.verifying import Kept, Progress

__all__ = ["Difference", "Progress", "Verification", "verify"]


async def verify(
    log: EventLog, registry: Registry, kept: Sequence[Kept], progress: Progress | None = None
) -> Verification:
    """Compare every row of every projection in `kept` with the log folded again."""
    return await verifying.verify(Ground(log, registry, Environment()), kept, progress=progress)
