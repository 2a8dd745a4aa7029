"""Simulated worlds: one log, one store, several processes, and everything that can go wrong.

Reading order: `simulation` (one run, and what users make), `world` (what is shared, and what
happened), `process`, `line` and `ports` (how a process reaches the log and the store, or not),
`faults` and `nemesis` (what goes wrong), `clients` and `operators` (who does what), `history` and
`checkers` (what must be true afterwards), `tally` (what diptych simulates itself with).
"""

from __future__ import annotations

from diptych.testing.simulation.simulation import Simulation, SimulationFailed
from diptych.testing.simulation.tally import (
    INLINE,
    NEWEST,
    command_of,
    decided_on_the_latest,
    parts_of,
    queries_of,
)

__all__ = ["TALLIES", "Simulation", "SimulationFailed"]

TALLIES = Simulation(
    parts_of,
    command_of,
    queries_of,
    inline=INLINE,
    releases=NEWEST,
    invariant=decided_on_the_latest,
)
"""What diptych simulates itself with."""
