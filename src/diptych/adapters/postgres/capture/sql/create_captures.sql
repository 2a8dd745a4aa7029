-- What is known of each slot: how far its beginning has come, and which log it feeds.
-- Locks: its schema's catalog entries, when it is made.
-- `seen` is the snapshot in which the rows were read at the beginning (as pg_current_snapshot
-- writes it), `seen_upto` a place behind every commit that it saw.
CREATE TABLE IF NOT EXISTS :"schema".captures (
    slot text PRIMARY KEY,
    generation text NOT NULL,
    log text NOT NULL,
    state text NOT NULL CHECK (state IN ('starting', 'snapshot', 'running')),
    with_rows boolean NOT NULL,
    seen text,
    seen_upto pg_lsn
)
