"""Is it right, who did what, where are we: what the people who run an application ask it.

`operating` is the half of an App that offers all of it: `drift` (rows that are not what the log
says, found and mended), `parked` (events that failed, retried or skipped), `generations` (rows
built beside those that are read, compared, switched), `trail` (who did what; was the log changed),
`evolution` (a move to the next stage).
"""
