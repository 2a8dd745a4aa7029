-- Events in commit order, a range of the primary key.
-- Parameters: after (position), limit. No locks.
SELECT position, stream, version, type, schema, data, meta, recorded_at FROM events
WHERE position > ? ORDER BY position LIMIT ?
