-- Parameters: projection, JSON array of keys, limit (-1: none). No locks. Plan: by the index of
-- keys, for there may be much that is parked for others.
SELECT entry FROM parked INDEXED BY parked_by_key
WHERE projection = ? AND key IN (SELECT value FROM json_each(?))
ORDER BY position, key, by_stream LIMIT ?
