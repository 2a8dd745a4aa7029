"""What is parked: looked at, retried in order, skipped for good.

Read in this order: `groups` (what waits, by projection and error), `entries` (one key with its
event, its stack and its followers), and `parked_events`, which offers these and does the work. How
a lane is folded again is in `sync.retry`, which runners use too.
"""
