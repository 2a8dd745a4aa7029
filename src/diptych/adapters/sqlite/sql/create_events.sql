-- The events, in commit order. `position` is dense from 1 in the log, `version` in its stream.
-- `origin` is the position of the stream's first event: streams that are busy at the same time lie
-- side by side in the unique index, so a group of appends changes few of its pages. The unique
-- constraint is the last guard against lost updates, should all checks before it be wrong.
-- `data` and `meta` are JSON in UTF-8; `recorded_at` is microseconds since 1970, UTC.
CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    origin INTEGER NOT NULL,
    version INTEGER NOT NULL,
    stream TEXT NOT NULL,
    type TEXT NOT NULL,
    schema INTEGER NOT NULL,
    data BLOB NOT NULL,
    meta BLOB NOT NULL,
    recorded_at INTEGER NOT NULL,
    UNIQUE (origin, version)
) STRICT
