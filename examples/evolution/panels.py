"""What every stage has in common: the shop's commands, queries and projections, as they are.

No stage changes a line of `examples/shop`. Beside the shop stands the ledger of the replay, which
says how far the real orders have been played.
"""

from __future__ import annotations

from diptych_examples.shop.app import COMMANDS, PROJECTIONS, QUERIES
from diptych_examples.shop.replay.ledger import Ledger

__all__ = ["LEFT", "PROJECTIONS", "RIGHT"]

LEFT = (*COMMANDS, Ledger)
"""Who decides."""

RIGHT = QUERIES
"""Who answers."""
