-- The one row that says which log this is and in which shape its tables are.
-- Locks: the file's write lock, as all statements named create_*.
CREATE TABLE log (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    identity TEXT NOT NULL,
    schema_version INTEGER NOT NULL,
    made_at INTEGER NOT NULL
) STRICT
