-- Where a materialized view stands after a refresh. Parameters: projection, position, fingerprint.
-- Under the write lock, in the transaction that has computed its rows.
INSERT INTO checkpoints (projection, position, fingerprint) VALUES (?, ?, ?)
ON CONFLICT (projection) DO UPDATE SET position = excluded.position, fingerprint = excluded.fingerprint
