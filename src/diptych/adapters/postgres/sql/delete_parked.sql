-- $1 projection; arrays: $2 lanes, $3 positions. The caller holds the lock of the checkpoint.
DELETE FROM :"schema".parked AS p
USING unnest($2::bytea[], $3::bigint[]) AS gone (lane, position)
WHERE p.projection = $1 AND p.lane = gone.lane AND p.position = gone.position
