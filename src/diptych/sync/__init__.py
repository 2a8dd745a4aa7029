"""FROM LEFT TO RIGHT: what keeps the two panels in step.

Reading order: `subscription` (events from a position on, decoded once for all who want them),
`runner` (asynchronous projections of one store, each a `member`), `step` (a batch: read, folded,
written, and parked where it fails: `parking`, `apart`), `retry` and `heal` (what is parked, folded
after all: `waiting_fold`), `lease` and its `terms` (which process
moves what), `inline` (projections inside the append's transaction), `rebuild` and `generations`
(rows made anew beside those that are read), `unseen` (what a projection has not seen yet, folded on
the spot), `freshness` and `settling` (waiting for a projection, wherever it runs), `panels` (all of
it, started and stopped), `calling`, `calling_again` and `handling` (event handlers, each past its
mark), `standing` and `status` (where everything is, and why).
"""
