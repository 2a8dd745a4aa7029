"""SQLite: the log and read models in one file, for any number of processes on one machine.

Reading order: `event_log` and `read_store` (what the application uses), `url` (which file),
`database` (what they share: one per file and event loop). Writing: `jobs`, `writer` (a queue, a
thread and a short cut), `transaction` (a group and its bad members), `append_batch`, `changes`,
`wal`. Reading: `reader`, `head`, `matching`. Rows: `row_table`, `row_field`, `finding`,
`read_tables`, `projections`, `inline_rows`. `sql/` holds every fixed statement and object.

Everything in a process that opens the same file must use the same copy of SQLite, that of apsw: the
module `sqlite3` of Python brings another one, and two copies in one process do not see each other's
locks. Other processes may use what they like.
"""
