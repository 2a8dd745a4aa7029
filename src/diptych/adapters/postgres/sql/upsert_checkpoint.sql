-- $1 view, $2 position, $3 fingerprint. Where a materialized view stands, in the transaction that has
-- computed its rows.
INSERT INTO :"schema".checkpoints (projection, position, fingerprint) VALUES ($1, $2, $3)
ON CONFLICT (projection) DO UPDATE
SET position = excluded.position, fingerprint = excluded.fingerprint
