-- Events of one stream in order, a range of the unique index.
-- Parameters: stream, after (version), limit. No locks.
SELECT position, stream, version, type, schema, data, meta, recorded_at FROM events
WHERE origin = (SELECT origin FROM streams WHERE stream = ?) AND version > ?
ORDER BY version LIMIT ?
