-- The events, in commit order. `position` is dense from 1 in the log, `version` in its stream; the
-- unique constraint is the last guard against lost updates, should all checks before it be wrong.
-- `data` and `meta` are JSON in UTF-8; `recorded_at` is microseconds since 1970, UTC.
CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    stream TEXT NOT NULL,
    version INTEGER NOT NULL,
    type TEXT NOT NULL,
    schema INTEGER NOT NULL,
    data BLOB NOT NULL,
    meta BLOB NOT NULL,
    recorded_at INTEGER NOT NULL,
    UNIQUE (stream, version)
) STRICT
