-- Parameters: stream. No locks.
SELECT stream, version, schema, state FROM snapshots WHERE stream = ?
