-- The newest state of a stream, as JSON, so that loading need not begin at version 1.
CREATE TABLE snapshots (
    stream TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    schema INTEGER NOT NULL,
    state BLOB NOT NULL
) STRICT
