-- Events at positions found by another SELECT, which takes the place of the comment below.
-- Parameters: those of that SELECT, limit. No locks.
SELECT position, stream, version, type, schema, data, meta, recorded_at FROM events
WHERE position IN (/*positions*/) ORDER BY position LIMIT ?
