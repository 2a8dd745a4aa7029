"""The shop at every stage of its evolution: the domain of `examples/shop`, untouched, six times.

```
stage1.py   tables | the same tables                     stage3.py   tables, outbox | projections
stage1b.py  tables | views, some materialized            stage4.py   tables, outbox | elsewhere
stage2.py   tables on the primary | views on a replica   stage5.py   a log | projections
panels.py   what all have in common: the shop            stages.py   the path
tables.py   normalized tables      mappings.py  aggregates in them      databases.py  where
views.py    read models by SELECT  selects/     the SELECTs
```

`python -m diptych_examples.evolution` plays the same real orders at every stage and compares what
they answer: `playing.py` (orders, then an `epilogue.py`, then `questions.py`), `comparing.py`,
`walking.py` on empty `ground.py`. The tutorial is docs/tutorial/evolution.md.
"""
