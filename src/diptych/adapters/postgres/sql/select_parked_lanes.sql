-- $1 projection, $2 lanes, $3 how many at most (null: all). In order; lane by lane, by primary key.
SELECT entry FROM :"schema".parked
WHERE projection = $1 AND lane = ANY ($2::bytea[])
ORDER BY position, key, by_stream
LIMIT $3
