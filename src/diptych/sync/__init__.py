"""FROM LEFT TO RIGHT: what keeps the two panels in step.

Reading order: `subscription` (events from a position on, decoded once for all who want them),
`runner` (asynchronous projections of one store), `inline` (projections inside the append's
transaction), `unseen` (what a projection has not seen yet, folded on the spot), `freshness`
(waiting for a projection, wherever it runs), `panels` (all of it, started and stopped), `status`
(where everything is, and why).
"""
