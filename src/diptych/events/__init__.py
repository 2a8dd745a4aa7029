"""THE HINGE: the log of events in commit order, between the side that decides and the side that answers.

Reading order: `log` (the port and its guarantees), `condition` (append conditions over types and
tags), `token` (where in the log a reader must have come).
"""
