"""Capture of changes that other programs make, through logical decoding and plain SQL calls.

Reading order: `capture` (what the application uses: open, run, status), `reader` (one look: peek,
append, advance), `chain` (why nothing comes twice into the log), `pgoutput` and `values` (bytes to
rows), `transactions` (rows to changes), `mapped` (changes to events). Beginning: `beginning`,
`tables`, `slot`, `record`, `snapshot`, `seen`. Watching: `status`. `own` marks transactions that
have their events already. `connection` says what errors mean. `sql/` holds every fixed statement.
"""

from diptych.adapters.postgres.capture.capture import Capture
from diptych.adapters.postgres.capture.own import mark_own_transaction
from diptych.adapters.postgres.capture.status import CaptureStatus

__all__ = ["Capture", "CaptureStatus", "mark_own_transaction"]
