"""Real orders as commands.

```
source.py    a CSV file of order lines, grouped into invoices
rules.py     what each line and each invoice becomes: the only place that knows the data is dirty
ledger.py    how far the replay has come, as an aggregate of its own, so that a killed one continues
running.py   N commands in flight, in order where order matters
```
"""
