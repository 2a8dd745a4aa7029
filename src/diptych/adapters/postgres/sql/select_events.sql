-- Events in commit order, a range of the primary key.
-- Parameters: after (position), limit. No locks.
SELECT position, stream, version, type, schema, data, meta, recorded_us FROM :"schema".events
WHERE position > $1 ORDER BY position LIMIT $2
