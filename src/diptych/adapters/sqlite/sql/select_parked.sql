-- Parameters: projection, limit (-1: none). No locks. Plan: in the order of the UNIQUE index.
SELECT entry FROM parked WHERE projection = ? ORDER BY position, key, by_stream LIMIT ?
