-- Parameters: stream. No locks.
SELECT stream, version, schema, state FROM :"schema".snapshots WHERE stream = $1
