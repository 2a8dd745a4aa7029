"""Stores that are broken on purpose: a suite that passes one of them is no suite.

`event_logs` and `read_stores` hold one small class per fault; `breaks` says which guarantees a fault
breaks, and the suite must notice each. `SharedLog` and `SharedStore` have no fault and must pass.
"""
