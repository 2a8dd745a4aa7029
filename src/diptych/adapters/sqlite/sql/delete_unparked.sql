-- Parameters: projection, JSON array of [position, key, by_stream]. Locks: the file's write lock.
-- Plan: each by the UNIQUE index.
DELETE FROM parked
WHERE projection = ? AND (position, key, by_stream) IN (
    SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?)
)
