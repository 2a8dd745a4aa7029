"""What travels: commands (what somebody wants) and events (what has happened).

Queries stand beside their answers in `queries/`. Money is whole pence; times are given by whoever
dispatches, because a decision looks at no clock.
"""
