-- Events of one stream in order, a range of the unique index.
-- Parameters: stream, after (version), limit. No locks.
SELECT position, stream, version, type, schema, data, meta, recorded_us FROM :"schema".events
WHERE stream = $1 AND version > $2 ORDER BY version LIMIT $3
