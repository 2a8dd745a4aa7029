-- Events at some positions, in commit order. Parameters: positions. No locks.
SELECT position, stream, version, type, schema, data, meta, recorded_us FROM :"schema".events
WHERE position = ANY ($1::bigint[]) ORDER BY position
