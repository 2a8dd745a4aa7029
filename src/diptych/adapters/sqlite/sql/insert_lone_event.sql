-- One event at the end of a stream that exists, if the stream stands where it is expected to; the
-- transaction of its own, which is committed when the statement has ended.
-- Parameters: stream, expected version, type, schema, data, meta, recorded at. Takes the write lock.
INSERT INTO events (position, origin, version, stream, type, schema, data, meta, recorded_at)
SELECT (SELECT max(position) FROM events) + 1, s.origin, ?2 + 1, ?1, ?3, ?4, ?5, ?6, ?7
FROM streams AS s
WHERE s.stream = ?1 AND ?2 = (SELECT max(e.version) FROM events AS e WHERE e.origin = s.origin)
