"""Who did what, when and why; how it stood at any moment; and proof that nobody changed the log.

Reading order: `record` (one event as an auditor sees it), `history` (which events), `tree` (what
led to what, made by `kinship`), `state` (write models as they were), `rows` (read models as they
were), `seal` (the chain of hashes), `anchor` (the file that holds it), `sealing` and `checking`,
and `trail`, the face of them all.

Everything is read from the log through its port. Nothing here is told when a command is handled, so
an application that never looks pays nothing.
"""

from __future__ import annotations

from diptych.operations.trail.trail import Trail

__all__ = ["Trail"]
