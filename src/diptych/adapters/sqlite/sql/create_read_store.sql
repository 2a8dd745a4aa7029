-- The one row that says in which shape diptych's tables for read models are.
CREATE TABLE read_store (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    schema_version INTEGER NOT NULL
) STRICT
