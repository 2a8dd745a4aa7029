"""RIGHT PANEL: the side that answers.

Reading order: `read_model` (the shape one screen needs), `projection` (events to rows: a pure fold
by key, or own SQL), `fold` (a whole batch at once), `read_store` (the port and its guarantees) with
`standings` (leases, generations) and `parked` (what is kept beside rows),
`reader` (what a query handler reads with), `handler` (who answers which query), `ask` (fresh enough
for the asker), `wait` (who waits for which position).
"""
