-- $1 projection; arrays: $2 lanes, $3 positions, $4 by stream, $5 keys, $6 skipped, $7 entries.
-- The caller holds the lock of the projection's checkpoint.
INSERT INTO :"schema".parked (projection, lane, position, by_stream, key, skipped, entry)
SELECT $1, p.* FROM unnest(
    $2::bytea[], $3::bigint[], $4::boolean[], $5::bytea[], $6::boolean[], $7::text[]
) AS p
ON CONFLICT (projection, lane, position) DO UPDATE
SET skipped = excluded.skipped, entry = excluded.entry
