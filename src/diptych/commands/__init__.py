"""LEFT PANEL: the side that decides.

Reading order: `envelope` (a command on its way, and its answer), `decider` (decide and evolve as
functions), `aggregate` (the same as a class), `repository` (state from events, or stored as state),
`handler` (load, decide, append), `unit_of_work` (several streams in one append), `idempotency` (the
first answer again), `dispatch` (middleware and routing). With tables: `tables` (the port),
`table_repository` (rows and streams stay one thing), `table_deciding`, `genesis`.
"""
