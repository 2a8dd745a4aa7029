-- $1 projection, $2 how many at most (null: all). In order; by the index on position.
SELECT entry FROM :"schema".parked
WHERE projection = $1
ORDER BY position, key, by_stream
LIMIT $2
