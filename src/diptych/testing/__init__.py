"""A product for users: what they test their own application with, and we ours.

Reading order: `scenario` (given, when, then for write models, projections and the whole path),
`deciding`, `folding`, `statements` and `whole_path` (its four kinds), `recording` (events as a
scenario writes them), `difference` (why a scenario failed), `properties` (what every projection
keeps to, tried with `histories` made of `values`; `trying` and `source` shrink and print one that
fails, `steadiness` and `other_process` look for it), `seeded` (an event loop that replays any
interleaving from a number), `permutations` (connections whose steps are interleaved in every
order), `nth_call` (every call of a story to its stores goes wrong once), `contract` (suites that
every adapter must pass).
"""

from __future__ import annotations

from diptych.testing.properties import properties
from diptych.testing.recording import recorded
from diptych.testing.scenario import scenario
from diptych.testing.seeded import for_each_seed, run_seeded

__all__ = ["for_each_seed", "properties", "recorded", "run_seeded", "scenario"]
