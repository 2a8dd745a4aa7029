"""On PostgreSQL: a server of our own, with the durability that PostgreSQL ships with.

Reading order: `server` (the server, and what is fresh for each measurement), `events_table` (what
the floors write and read), then one file per question.
"""
