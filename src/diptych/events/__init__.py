"""THE HINGE: the log of events in commit order, between the two panels.

Reading order: `log` (the port and its guarantees), `condition` (append conditions over types and
tags), `token` (where in the log a reader must have come), `handler` (what is
done outside for each event).
"""
