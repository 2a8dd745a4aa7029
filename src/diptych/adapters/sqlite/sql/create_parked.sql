-- Events that have no effect on one key of a projection, for now or (skipped) for good. `entry` is
-- the whole of it as JSON. The UNIQUE index lists them by position.
CREATE TABLE parked (
    id INTEGER PRIMARY KEY,
    projection TEXT NOT NULL,
    by_stream INTEGER NOT NULL,
    key TEXT NOT NULL,
    position INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    entry TEXT NOT NULL,
    UNIQUE (projection, position, key, by_stream)
) STRICT
