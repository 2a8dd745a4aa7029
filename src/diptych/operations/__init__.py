"""Is it right, who did what, where are we: what the people who run an application ask it.

`verify` folds the log again from nothing and compares every row of every read model.
"""
